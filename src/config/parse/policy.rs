//! `[routes.policy]`: what who may do, operation by operation.

use super::super::read::table::Table;
use super::super::{Effect, PolicyConfig};

pub(super) fn read(_table: &Table<'_>) -> PolicyConfig {
    PolicyConfig { default: Effect::Allow, implies: Vec::new(), rules: Vec::new(), step_up: true }
}
