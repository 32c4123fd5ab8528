// Waiting for something to become true, with a bound.

/** Asks `probe` again and again until it gives something truthy, and gives that back. */
export async function until(what, probe, { within = 20_000, every = 50 } = {}) {
  const deadline = Date.now() + within;
  let last;
  while (Date.now() < deadline) {
    try {
      const answer = await probe();
      if (answer) return answer;
    } catch (error) {
      if (error instanceof GaveUp) throw error;
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, every));
  }
  throw new Error(`${what}: not within ${within} ms${last ? ` (${last.message})` : ''}`);
}

/** Thrown by a probe that knows that waiting longer is useless. */
export class GaveUp extends Error {}

/** `promise`, or an error once `within` milliseconds have passed. */
export async function bounded(what, promise, within = 30_000) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${within} ms`)), within);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
