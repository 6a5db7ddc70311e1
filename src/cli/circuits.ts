/**
 * The commands `circuits` and `circuit`: what the participants' workers do not call now, with who ruled so, and what a person
 * rules about one circuit.
 */
import { latestRulings, recordRuling, reportedCircuits } from '../participant';
import type { CircuitRuling, ReportedCircuit } from '../participant';
import { databaseNamed, reach, tellFailure } from './databases';
import type { Database, Unreachable } from './databases';
import { DatabaseUnavailable, InvalidArgument } from './errors';
import { ExitCode } from './exit-code';
import { count, printable, quoted } from './printable';
import { block } from './table';
import type { Answer } from './table';

interface Circuits {
  readonly participant: string;
  readonly circuits: readonly ReportedCircuit[];
  readonly rulings: readonly CircuitRuling[];
}

/** Shows the circuits of all participants, or of one. */
export async function listCircuits(databases: readonly Database[], participant: string | undefined): Promise<Answer> {
  const asked = participant === undefined ? databases : [databaseNamed(databases, participant)];
  const { reached, unreachable } = await reach(asked);
  const found: Circuits[] = [];
  const failed: Unreachable[] = [...unreachable];
  for (const database of reached) {
    try {
      found.push(await circuitsAt(database));
    } catch (error) {
      failed.push({ participant: database.participant, why: tellFailure(database, error) });
    }
  }
  const cutOff = found.flatMap(cutOffAt);
  const incomplete = failed.length > 0 ? ExitCode.Incomplete : ExitCode.Well;
  return {
    exitCode: cutOff.length > 0 ? ExitCode.NeedsPerson : incomplete,
    text: tell(found, cutOff, failed),
    json: { participants: found, notLookedAt: failed },
  };
}

const circuitsAt = async ({ participant, pool }: Database): Promise<Circuits> => ({
  participant,
  circuits: await reportedCircuits(pool),
  rulings: await latestRulings(pool),
});

/** What is not called, as its workers report it or as the last ruling has it. */
const cutOffAt = ({ participant, circuits, rulings }: Circuits): string[] =>
  [
    ...new Set([
      ...circuits.filter(({ state }) => state === 'open' || state === 'isolated').map(({ circuit }) => circuit),
      ...rulings.filter(({ ruling }) => ruling === 'isolate').map(({ circuit }) => circuit),
    ]),
  ].map((circuit) => `${participant} ${circuit}`);

function tell(found: readonly Circuits[], cutOff: readonly string[], failed: readonly Unreachable[]): string {
  return [
    cutOff.length === 0
      ? 'Nothing needs a person: no circuit is open.'
      : `A person is needed: ${count(cutOff.length, 'circuit')} open. New work that needs what is cut off is not attempted; what was begun is still ended.`,
    ...found.flatMap((at) => namesAt(at).map((circuit) => tellCircuit(at, circuit))),
    ...found
      .filter((at) => namesAt(at).length === 0)
      .map(({ participant }) => `${participant}: no worker has reported a circuit within the last minute.`),
    ...failed.map(({ participant, why }) => `Not looked at: ${participant}. ${why}`),
  ].join('\n\n');
}

/** Of those that a worker reports, and of those that were isolated whether or not one does. */
const namesAt = ({ circuits, rulings }: Circuits): string[] => [
  ...new Set([
    ...circuits.map(({ circuit }) => circuit),
    ...rulings.filter(({ ruling }) => ruling === 'isolate').map(({ circuit }) => circuit),
  ]),
];

function tellCircuit({ participant, circuits, rulings }: Circuits, circuit: string): string {
  const reported = circuits.filter((one) => one.circuit === circuit);
  const ruled = rulings.find((one) => one.circuit === circuit);
  const notCalled = reported.some(({ state }) => state !== 'closed') || ruled?.ruling === 'isolate';
  const command = `temporal-txn circuit ${quoted(participant)} ${quoted(circuit)} --by <who> --reason <why> --apply`;
  return block(`${participant}, circuit ${printable(circuit)}`, [
    ...(reported.length === 0 ? [['state', 'no worker has reported it within the last minute'] as const] : []),
    ...reported.map((one) => [`at ${printable(one.worker)}`, tellState(one)] as const),
    ...(ruled
      ? [
          [
            'last ruling',
            `${ruled.ruling} by ${printable(ruled.by)} at ${ruled.ruledAt.toISOString()}: ${printable(ruled.reason)}`,
          ] as const,
        ]
      : []),
    notCalled ? ['to close it', `${command} --close`] : ['to cut it off', `${command} --isolate`],
  ]);
}

function tellState({ state, cutOff, since, halfOpenAt }: ReportedCircuit): string {
  const tried = state === 'open' && halfOpenAt ? `, tried again at ${halfOpenAt.toISOString()}` : '';
  const callers = cutOff > 1 ? `, for ${cutOff} tenants` : '';
  return `${state} since ${since.toISOString()}${callers}${tried}`;
}

export interface CircuitRequest extends Pick<CircuitRuling, 'circuit' | 'ruling' | 'by' | 'reason'> {
  readonly participant: string;
  readonly mode: 'dry-run' | 'apply';
}

/**
 * Rules on one circuit, or says what it would do.
 *
 * @throws {InvalidArgument} when the workers report circuits, and none of this name
 * @throws {DatabaseUnavailable}
 */
export async function ruleCircuit(databases: readonly Database[], request: CircuitRequest): Promise<Answer> {
  const { participant, circuit, ruling, mode } = request;
  const database = databaseNamed(databases, participant);
  const { unreachable } = await reach([database]);
  for (const { why } of unreachable) throw new DatabaseUnavailable(participant, why);
  const at = await circuitsAt(database);
  const known = [...new Set([...namesAt(at), ...at.rulings.map((one) => one.circuit)])];
  // Before any worker runs, nobody can tell which names are right: one may be isolated before its worker starts.
  if (at.circuits.length > 0 && !known.includes(circuit))
    throw new InvalidArgument('the circuit', circuit, `The workers of ${participant} report ${known.join(', ')}.`);
  if (circuit.length > LONGEST_NAME)
    throw new InvalidArgument('the circuit', circuit, `Names have at most ${LONGEST_NAME} characters.`);
  const shown = known.includes(circuit)
    ? tellCircuit(at, circuit)
    : `No worker of ${participant} reports a circuit now: check the name.`;
  if (mode === 'dry-run')
    return {
      exitCode: ExitCode.NeedsPerson,
      text: `Nothing was changed. With --apply, ${WHAT[ruling]}.\n\n${shown}`,
      json: { changed: false, circuits: at },
    };
  await recordRuling(database.pool, request);
  return {
    exitCode: ExitCode.Well,
    text: `Done: ${WHAT[ruling]}. It is kept in txn.circuit_ruling, with your name and reason.\n\nBefore it was:\n${shown}`,
    json: { changed: true, before: at },
  };
}

const LONGEST_NAME = 63;

const WHAT = {
  isolate: 'every worker of the participant keeps it open, within a few seconds, until it is closed',
  close: 'every worker of the participant closes it within a few seconds, and forgets what failed',
} as const;
