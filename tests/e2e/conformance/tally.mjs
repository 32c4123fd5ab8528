// Holds what passes through the gateway against what passes directly.

/** What the gateway itself must get right, whatever the server behind it does. */
export const ALWAYS = ['dns-rebinding-protection', 'http-header-validation'];

export class Tally {
  checks = { pass: 0, fail: 0 };
  runs = { pass: 0, fail: 0 };

  /**
   * Prints one run. What passes directly must pass through. What fails directly is named, no more; with `whole` it is a
   * failure too, because there is nothing that the server may get wrong.
   */
  report(title, direct, through, { whole = false } = {}) {
    console.log(`\n${title}`);
    const failedBefore = this.checks.fail;
    const lacking = new Set();
    for (const check of [...new Set([...direct.keys(), ...through.keys()])].sort()) {
      const judged = this.#judge(check, direct.get(check), through.get(check), whole);
      if (!judged) lacking.add(check.split(': ')[0]);
    }
    if (lacking.size > 0) console.log(`  – not passed directly, in whole or in part: ${[...lacking].join(', ')}`);
    this.runs[this.checks.fail > failedBefore ? 'fail' : 'pass'] += 1;
    const passed = (checks) => [...checks.values()].filter((status) => status === 'SUCCESS');
    const count = (checks) => `${passed(checks).length} of ${checks.size}`;
    console.log(`  ${count(direct)} checks pass directly, ${count(through)} through the gateway`);
  }

  /** Counts one fact of a run besides the suite's checks. */
  expect(what, holds) {
    this.checks[holds ? 'pass' : 'fail'] += 1;
    if (!holds) console.log(`  ✖ ${what}`);
  }

  /** False: nothing can be asked of the gateway here. */
  #judge(check, before, after, whole) {
    const skipped = before === 'SKIPPED' && after === 'SKIPPED';
    const always = ALWAYS.includes(check.split(': ')[0]);
    if (skipped || !(whole || always || before === 'SUCCESS')) return false;
    const passes = after === 'SUCCESS' && (before === 'SUCCESS' || !whole);
    this.checks[passes ? 'pass' : 'fail'] += 1;
    const mark = passes ? '✔' : '✖';
    if (!passes || before !== 'SUCCESS') console.log(`  ${mark} ${check}: ${before} directly, ${after} through`);
    return true;
  }
}
