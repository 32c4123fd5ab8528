//! JSON as a token may hold it: one object, no member twice at any level, bounded depth.
//!
//! `serde_json` alone keeps the last of two members; another reader may keep the first (RFC 7519 §4, RFC 8725 §2.4).

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::TokenError;

/// Deepest nesting in a header or payload; a bound on the stack, far below `serde_json`'s own.
const MAX_DEPTH: usize = 32;

/// The one object that `bytes` are.
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>, TokenError> {
    let fault = Cell::new(TokenError::Json);
    let strict = Strict { depth: MAX_DEPTH, fault: &fault };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value =
        strict.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value)).map_err(|_| fault.get())?;
    if let Value::Object(object) = value { Ok(object) } else { Err(TokenError::Json) }
}

/// Reads one value. What is wrong besides syntax is left in `fault`: serde's errors carry text only.
#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    fault: &'a Cell<TokenError>,
}

impl Strict<'_> {
    /// The reader of the values inside this one.
    fn inner<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("nested too deep"))?;
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate members")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("no finite number"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                self.fault.set(TokenError::Duplicate);
                return Err(A::Error::custom("a member stands twice"));
            }
            object.insert(name, members.next_value_seed(inner)?);
        }
        Ok(Value::Object(object))
    }
}
