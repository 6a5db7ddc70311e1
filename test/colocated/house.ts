/** A process that has everything: both banks, and the coordinator that asks them where they are. */
import { dirname, join } from 'node:path';
import { bank } from '../../bench/protocols/operations';
import { runCoordinator, runParticipant } from '../../src/worker';
import type { RunningCoordinator, RunningParticipant } from '../../src/worker';
import type { TemporalSettings } from '../../src/client';
import type { Bank } from '../../bench/transfer';
import { bundleWorkflows } from '../bundle';

export interface HouseOptions {
  readonly temporal?: TemporalSettings;
  readonly databases: Readonly<Record<Bank, string>>;
  /** Those that the coordinator is given. */
  readonly colocated: readonly Bank[];
  /** How often recovery looks. @default 500 milliseconds */
  readonly recoveryEveryMs?: number;
  /** @default a free one */
  readonly healthPort?: number;
}

export interface House {
  readonly coordinator: RunningCoordinator;
  stop(): Promise<void>;
}

/** The same from the sources and from dist/. */
const WORKFLOWS = join(dirname(require.resolve('temporal-txn/package.json')), 'dist/test/colocated/workflows.js');

export async function openHouse({
  temporal,
  databases,
  colocated,
  recoveryEveryMs = 500,
  healthPort = 0,
}: HouseOptions): Promise<House> {
  const own = temporal ? { temporal } : {};
  const banks: RunningParticipant[] = [];
  for (const [name, connectionString] of Object.entries(databases))
    banks.push(
      await runParticipant(bank, {
        name,
        database: { connectionString },
        health: { port: 0 },
        recovery: { graceMs: 10_000, everyMs: recoveryEveryMs },
        twoPhaseCommit: true,
        ...own,
      }),
    );
  const coordinator = await runCoordinator({
    workflows: { workflowBundle: await bundleWorkflows(WORKFLOWS) },
    health: { port: healthPort },
    colocated: banks.filter(({ name }) => colocated.some((given) => given === name)),
    ...own,
  });
  return {
    coordinator,
    stop: async () => {
      await coordinator.stop();
      await Promise.all(banks.map((bank) => bank.stop()));
    },
  };
}
