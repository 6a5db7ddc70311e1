/** The processes that publish, as the benchmark sees them. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawnGuarded } from '../../src/testing';
import type { GuardedProcess } from '../../src/testing';
import { clockMs } from './clock';
import { BEGIN, DATABASE_URL, JOB } from './protocol';
import type { Job, Report } from './protocol';

const READY_TIMEOUT_MS = 60_000;

interface Progress {
  readonly count: number;
  readonly astray: number;
  readonly publishedAt: number;
  readonly finished: number;
  readonly finishedAt: number;
}

/** One process, or several that share the work. */
export class Publishing {
  readonly #progress: Progress[];
  readonly #changed = new Set<() => void>();

  private constructor(private readonly processes: readonly GuardedProcess[]) {
    const none = { count: 0, astray: 0, publishedAt: 0, finished: 0, finishedAt: 0 };
    this.#progress = processes.map(() => none);
    processes.forEach(({ child, exited }, i) => {
      child.on('message', (report: Report) => {
        if (report.kind === 'progress') this.#progress[i] = report;
        this.#wake();
      });
      void exited.then(() => this.#wake());
    });
  }

  /** Starts processes, and waits until they could begin. */
  static async start(jobs: readonly Job[], databaseUrl: string): Promise<Publishing> {
    const processes: GuardedProcess[] = [];
    try {
      for (const job of jobs)
        processes.push(
          await spawnGuarded(process.execPath, [join(__dirname, 'publishing-worker.js')], {
            env: { ...process.env, [DATABASE_URL]: databaseUrl, [JOB]: JSON.stringify(job) },
            stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
          }),
        );
      const ready = processes.map(
        ({ child }) => new Promise<true>((resolve) => child.once('message', () => resolve(true))),
      );
      const publishing = new Publishing(processes);
      const failed = Promise.race(processes.map(({ exited }) => exited.then(() => false)));
      const late = sleep(READY_TIMEOUT_MS, false, { ref: false });
      const begun = await Promise.race([Promise.all(ready), failed, late]);
      if (begun === false) throw new Error('A process that publishes did not start; what it said is above.');
      return publishing;
    } catch (error) {
      await Promise.all(processes.map((one) => one.kill()));
      throw error;
    }
  }

  /** Has them begin. @returns when that was, by `clockMs` */
  begin(): number {
    const at = clockMs();
    for (const { child } of this.processes) child.send(BEGIN);
    return at;
  }

  /** How many events came in their turn. */
  get count(): number {
    return this.#sum('count');
  }

  get astray(): number {
    return this.#sum('astray');
  }

  /** When the last event was given to the publisher. */
  get publishedAt(): number {
    return Math.max(...this.#progress.map(({ publishedAt }) => publishedAt));
  }

  /** Waits until as many are marked as published. @returns when the last of them was */
  async finished(events: number, mostMs: number): Promise<number> {
    if (!(await this.reaches(events, mostMs)))
      throw new Error(`Of ${events} events ${this.#sum('finished')} were published within ${mostMs} ms.`);
    return Math.max(...this.#progress.map(({ finishedAt }) => finishedAt));
  }

  /** Waits until as many are marked as published. @returns whether they were in time */
  async reaches(events: number, mostMs: number): Promise<boolean> {
    for (const deadline = clockMs() + mostMs; this.#sum('finished') < events;) {
      if (this.processes.some(({ running }) => !running))
        throw new Error('A process that publishes has ended; what it said is above.');
      const left = deadline - clockMs();
      if (left <= 0) return false;
      await this.#change(left);
    }
    return true;
  }

  async stop(): Promise<void> {
    await Promise.all(this.processes.map((one) => one.stop()));
  }

  #sum(field: 'count' | 'astray' | 'finished'): number {
    return this.#progress.reduce((sum, progress) => sum + progress[field], 0);
  }

  #wake(): void {
    for (const done of [...this.#changed]) done();
  }

  async #change(mostMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#changed.delete(done);
        resolve();
      };
      const timer = setTimeout(done, mostMs);
      this.#changed.add(done);
    });
  }
}
