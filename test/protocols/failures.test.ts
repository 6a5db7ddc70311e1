/**
 * The same transfer by each protocol, through every failure, on real servers. How each ends is what docs/protocols.json says,
 * from which the tables of docs/protocols.md are made. `TXN_RECORD=1` writes that file.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { OUTCOMES_FILE } from '../../bench/protocols/outcomes';
import type { FailureOutcomes, ProtocolOutcome, RecordedOutcomes } from '../../bench/protocols/outcomes';
import { WAYS } from '../../bench/protocols/ways';
import { some } from '../depth';
import { BANKS, openCompany } from './company';
import type { Company } from './company';
import { FAILURES } from './failures';

const file = resolve(__dirname, '../..', OUTCOMES_FILE);
const recording = process.env['TXN_RECORD'] === '1';
const found: FailureOutcomes[] = [];
let company: Company;

beforeAll(async () => {
  company = await openCompany();
});

afterAll(async () => {
  await company?.stop();
  if (!recording || found.length < FAILURES.length) return;
  const taken = { on: new Date().toISOString().slice(0, 10), node: process.version, processors: cpus().length };
  writeFileSync(file, `${JSON.stringify({ taken, failures: found } satisfies RecordedOutcomes, null, 2)}\n`);
}, 60_000);

/** Nothing waits longer for a machine: only for a person. */
const LONGEST_SECONDS = 60;

it.each(recording ? FAILURES : some(FAILURES, 2, 'failures'))(
  '$title',
  async ({ title, play }) => {
    const outcomes = await play(company);
    found.push({ failure: title, outcomes });
    console.log(title, JSON.stringify(outcomes));
    for (const way of WAYS) expect(outcomes[way].seconds ?? 0, way).toBeLessThan(LONGEST_SECONDS);
    if (!recording) expect(withoutSeconds(outcomes)).toEqual(withoutSeconds(recordedOf(title)));
  },
  150_000,
);

it('has the workflows of a coordinator, which bundles them itself, load the library once', async () => {
  const shared = company.transactions.execute('sharesTheLibrary', { id: 'shares-the-library', input: null });
  expect(await shared).toBe(true);
});

it('leaves nothing reserved, and accounts that add up', async () => {
  for (const bank of BANKS) {
    const { rows } = await company.banks[bank].query(
      'select * from invariant_violation union all select $1, id, $1 from account where held + expected > 0',
      ['something stays reserved'],
    );
    expect(rows, bank).toEqual([]);
  }
});

const withoutSeconds = (outcomes: FailureOutcomes['outcomes']): Record<string, Omit<ProtocolOutcome, 'seconds'>> =>
  Object.fromEntries(WAYS.map((way) => [way, { ...outcomes[way], seconds: undefined }]));

function recordedOf(failure: string): FailureOutcomes['outcomes'] {
  const { failures } = JSON.parse(readFileSync(file, 'utf8')) as RecordedOutcomes; // Cast: this test has written it.
  const recorded = failures.find((one) => one.failure === failure);
  if (!recorded) throw new Error(`${OUTCOMES_FILE} has no "${failure}": run this test with TXN_RECORD=1.`);
  return recorded.outcomes;
}
