// Child processes that are watched, whose output is kept, and that never outlive the test.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { bounded } from './wait.mjs';

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

export class Process {
  constructor(name, command, args, options = {}) {
    this.name = name;
    this.output = '';
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options });
    running.add(this.child);
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text) => { this.output += text; });
    }
    this.stdout = '';
    this.child.stdout.on('data', (text) => { this.stdout += text; });
    this.ended = new Promise((resolve) => {
      this.child.once('error', (error) => {
        this.output += `${error}\n`;
        running.delete(this.child);
        resolve({ code: -1, signal: null });
      });
      this.child.once('close', (code, signal) => {
        running.delete(this.child);
        resolve({ code, signal });
      });
    });
    this.ended.then(() => { this.over = true; });
  }

  /** Waits for the process to end by itself; its exit must be 0. Gives what it wrote to standard output. */
  async finish(within = 60_000) {
    try {
      const { code, signal } = await bounded(this.name, this.ended, within);
      if (code !== 0) throw new Error(`${this.name} ended with ${signal ?? code}`);
      return this.stdout;
    } catch (error) {
      this.child.kill('SIGKILL');
      throw new Error(`${error.message}\n${tail(this.output)}`);
    }
  }

  /** Ends the process: politely, then not. Gives how it ended. */
  async stop(within = 10_000) {
    if (!this.over) this.child.kill('SIGTERM');
    try {
      return await bounded(`${this.name} after SIGTERM`, this.ended, within);
    } catch (error) {
      this.child.kill('SIGKILL');
      throw new Error(`${error.message}\n${tail(this.output)}`);
    }
  }
}

/** The processes whose command line or environment names `text`. */
export function processesNaming(text) {
  return readdirSync('/proc').filter((id) => /^\d+$/.test(id) && Number(id) !== process.pid).filter((id) => {
    try {
      return ['cmdline', 'environ'].some((file) => readFileSync(`/proc/${id}/${file}`, 'utf8').includes(text));
    } catch {
      return false; // It is gone, or another user's.
    }
  });
}

export function tail(text, lines = 60) {
  return text.split('\n').slice(-lines).join('\n');
}
