/** `timeline`: of recorded histories, in every form in which they are exported and drawn, and of histories that somebody made to do harm. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { XMLValidator } from 'fast-xml-parser';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InvalidHistory } from '../../src/cli/errors';
import { escaped } from '../../src/cli/printable';
import { loadHistoryFile, readEvents } from '../../src/cli/timeline/history';
import { drawMermaid } from '../../src/cli/timeline/mermaid';
import { scaleOf } from '../../src/cli/timeline/scale';
import { drawSvg } from '../../src/cli/timeline/svg';
import { drawTerminal } from '../../src/cli/timeline/terminal';
import { timelineOf } from '../../src/cli/timeline/timeline';
import type { Timeline } from '../../src/cli/timeline/timeline';
import { runCommand } from './fixture';

const root = resolve(__dirname, '../..');
const recorded = (name: string): string => join(root, 'test/cli/histories', `${name}.json`);
const replayed = (name: string): string => join(root, 'test/replay/histories', `${name}.json`);
const readFile = (file: string) => readEvents(loadHistoryFile(file), file);
const timeline = (file: string): Timeline => timelineOf(readFile(file));
const PLAIN = { width: 100, colour: false, fold: false };

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'txn-timeline-'));
});
afterAll(() => rmSync(directory, { recursive: true }));
const file = (text: string): string => {
  const path = join(directory, 'events.json');
  writeFileSync(path, text);
  return path;
};

/** By the package that draws them; it is a module of the other kind. */
const parseMermaid = async (diagram: string): Promise<{ diagramType: string }> =>
  (await import('mermaid')).default.parse(diagram);

interface Payload {
  readonly metadata: Record<string, string>;
  readonly data?: string;
}
const isPayload = (value: unknown): value is Payload =>
  typeof value === 'object' && value !== null && 'metadata' in value && 'data' in value;

/** As the Web UI saves a history with its payloads decoded: base64 is gone, the list of payloads stays. */
const decodedByWebUi = (text: string): string =>
  JSON.stringify(
    JSON.parse(text, (_, value: unknown) => {
      if (!isPayload(value)) return value;
      const plain = (encoded: string): string => Buffer.from(encoded, 'base64').toString();
      const metadata = Object.fromEntries(Object.entries(value.metadata).map(([key, one]) => [key, plain(one)]));
      return { metadata, data: JSON.parse(plain(value.data ?? '')) as unknown };
    }),
  );

describe('a history', () => {
  const told = timeline(recorded('two-phase-commit'));

  it('gives each branch a lane, with what was asked of it, its vote, and the decision', () => {
    expect(told.lanes.map(({ name, participant }) => [name, participant])).toEqual([
      ['coordinator', undefined],
      ['audit.record', 'audit'],
      ['north-bank.debit', 'north-bank'],
      ['south-bank.credit', 'south-bank'],
    ]);
    const primary = told.lanes[2];
    expect(primary?.spans.map(({ label, end, note }) => [label, end, note])).toEqual([
      ['debit.prepare', 'done', 'vote commit'],
      ['debit.decide', 'done', 'decided commit'],
    ]);
    expect(primary?.marks.map(({ kind, label }) => [kind, label])).toEqual([['vote', 'vote commit']]);
    expect(told).toMatchObject({ type: 'transferMoneyAtomically', end: { status: 'completed' } });
  });

  it('is the same in every form in which it is exported', () => {
    const text = readFileSync(recorded('two-phase-commit'), 'utf8');
    const { events } = JSON.parse(text) as { events: unknown[] };
    const forms = {
      'the API, in short': readFileSync(recorded('two-phase-commit.shorthand'), 'utf8'),
      'the Web UI, decoded': decodedByWebUi(text),
      'its events alone': JSON.stringify(events),
      'with a byte order mark': `\uFEFF${text}`,
    };
    for (const [form, exported] of Object.entries(forms)) expect(timeline(file(exported)), form).toEqual(told);
  });

  it('shows failures, what was undone, rulings, and attempts', () => {
    const held = timeline(replayed('transferMoney-held'));
    const debit = held.lanes.find(({ name }) => name === 'north-bank.debit');
    expect(debit?.spans.map(({ label, end }) => [label, end])).toEqual([
      ['debit', 'done'],
      ['debit.compensate', 'failed'],
      ['debit.compensate', 'done'],
    ]);
    expect(held.lanes[0]?.marks).toContainEqual(
      expect.objectContaining({ kind: 'ruling', label: 'retryStep of north-bank.debit by kim: recorded' }),
    );
    const record = held.lanes.find(({ name }) => name === 'audit.record')?.spans;
    expect(record).toMatchObject([{ end: 'refused', failure: 'The script says no.' }]);
    const overdue = timeline(replayed('coordinateTwoPhaseCommit-overdue-committed'));
    const last = overdue.lanes.find(({ name }) => name === 'audit.record')?.spans.at(-1);
    expect(last).toMatchObject({ end: 'done', attempts: 3, retried: 'The database does not answer.' });
  });

  it('shows timers, signals, and workflows that it started', () => {
    const participant = timeline(replayed('participateInThreePhaseCommit-told-committed'));
    expect(participant.lanes.at(-1)).toMatchObject({ kind: 'timers', spans: [{ end: 'cancelled' }] });
    expect(participant.lanes[0]?.marks.map(({ label }) => label)).toContain('signal preCommit');
    const startTime = '2026-01-01T00:00:00Z';
    const child = timelineOf(
      readEvents(
        [
          { eventId: '1', eventTime: startTime, workflowExecutionStartedEventAttributes: { workflowId: 'three' } },
          {
            eventId: '2',
            eventTime: '2026-01-01T00:00:01Z',
            startChildWorkflowExecutionInitiatedEventAttributes: {
              workflowId: 'three#debit',
              workflowType: { name: 'participateInThreePhaseCommit' },
              taskQueue: { name: 'north-bank' },
              input: [{ transaction: 'three', branch: 'debit' }],
            },
          },
          {
            eventId: '3',
            eventTime: '2026-01-01T00:00:02Z',
            signalExternalWorkflowExecutionInitiatedEventAttributes: {
              workflowExecution: { workflowId: 'three#debit' },
              signalName: 'doCommit',
            },
          },
          {
            eventId: '4',
            eventTime: '2026-01-01T00:00:03Z',
            childWorkflowExecutionCompletedEventAttributes: { initiatedEventId: '2' },
          },
        ],
        'made up',
      ),
    );
    expect(child.lanes[1]).toMatchObject({
      name: 'debit',
      participant: 'north-bank',
      spans: [{ kind: 'child', end: 'done' }],
      marks: [{ label: 'told doCommit' }],
    });
  });

  it('is told in the order in which things happened, which is not that of its numbers', () => {
    const overtaken = readFile(replayed('coordinateTwoPhaseCommit-committed'));
    expect(overtaken.map(({ id }) => id)).not.toEqual(overtaken.map(({ id }) => id).sort((a, b) => a - b));
    expect(overtaken.map(({ atMs }) => atMs)).toEqual(overtaken.map(({ atMs }) => atMs).sort((a, b) => a - b));
  });

  it('tells of a vote or decision only what is a word of the protocols', () => {
    const [started, asked] = (
      JSON.parse(readFileSync(recorded('two-phase-commit.shorthand'), 'utf8')) as {
        history: { events: { eventType: string }[] };
      }
    ).history.events.filter(({ eventType }) => /EXECUTION_STARTED|ACTIVITY_TASK_SCHEDULED/.test(eventType));
    const vote = { transaction: 'transfer-4710', branch: 'audit.record', vote: 'the customer said no' };
    const forged = timelineOf(
      readEvents(
        [
          started,
          asked,
          {
            eventId: '90',
            eventTime: '2027-01-01T00:00:00Z',
            workflowExecutionSignaledEventAttributes: { signalName: 'vote', input: [vote] },
          },
        ],
        'forged',
      ),
    );
    expect(forged.lanes[1]?.marks).toEqual([expect.objectContaining({ label: 'vote unreadable' })]);
  });

  it('does not show what was sent or returned', () => {
    for (const draw of [drawSvg, drawMermaid, (one: Timeline) => drawTerminal(one, PLAIN), JSON.stringify])
      expect(draw(told)).not.toMatch(/alice|EUR|"amount"/);
  });
});

describe('the terminal', () => {
  it('keeps to its width, uses colour only where it may, and cuts long silence short', () => {
    const held = timeline(replayed('transferMoney-held'));
    for (const width of [40, 60, 100, 200]) {
      const drawn = drawTerminal(held, { width, colour: false, fold: true });
      expect(Math.max(...drawn.split('\n').map((line) => line.length))).toBeLessThanOrEqual(width);
      expect(drawn).not.toContain('\u001b');
    }
    expect(drawTerminal(held, { ...PLAIN, colour: true })).toContain('\u001b[31m');
    const [first, ...others] = held.lanes;
    const late = { ...held, toMs: held.toMs + 30 * 86_400_000, lanes: [...(first ? [first] : []), ...others] };
    expect(drawTerminal(late, PLAIN)).toContain('silence cut short (30 d 00 h)');
    const { at } = scaleOf(late);
    expect(at(held.toMs)).toBeGreaterThan(0.6);
    expect([at(late.fromMs), at(late.toMs)]).toEqual([0, 1]);
  });

  it('shows every lane with its end, and everything in order, relative and absolute', () => {
    const drawn = drawTerminal(timeline(recorded('compensated-transfer')), PLAIN).split('\n');
    expect(drawn.find((line) => line.startsWith('north-bank.debit '))).toMatch(/^north-bank\.debit +\.+=*\+ +\.*=*\+$/);
    expect(drawn.find((line) => line.startsWith('south-bank.credit'))).toMatch(/^south-bank\.credit +\.+=*x$/);
    const moments = drawn.filter((line) => /^ +\+[\d.]+ m?s {2}\d\d:\d\d:\d\d\.\d{3}Z {2}/.test(line));
    expect(moments.map((line) => line.split(/ {2,}/).at(-1))).toEqual([
      'started',
      'debit asked',
      expect.stringMatching(/^debit done in \d+ ms$/),
      'credit asked',
      expect.stringMatching(/^credit refused in \d+ ms: unknown-account: There is no account nobody$/),
      'debit.compensate asked',
      expect.stringMatching(/^debit\.compensate done in \d+ ms$/),
      'failed: Everything was undone: unknown-account: There is no account nobody',
    ]);
  });
});

/** Whatever may appear in a history, in all its texts. */
const HOSTILE = [
  '</text><script>alert(1)</script>',
  '"><image href="x" onload="y"/>',
  ']]>&lt;&amp;<!--',
  '\u001b[2J\u202e\u0000\ufffe',
  'end; participant X\n  Note over L0: forged',
  'L0->>L1: forged; %%{init: {}}%% #lt; #9829;',
  'a --> b::: -->> --x -) as end END',
  '😀'.repeat(300),
];

const hostileHistory = (evil: string): Timeline => {
  const at = (n: number): string => `2026-01-01T00:00:0${n}.000Z`;
  const failure = { message: evil, applicationFailureInfo: { type: evil } };
  const request = [{ transaction: evil, branch: evil }];
  return timelineOf(
    readEvents(
      [
        {
          eventId: 1,
          eventTime: at(0),
          workflowExecutionStartedEventAttributes: { workflowId: evil, workflowType: { name: evil } },
        },
        {
          eventId: 2,
          eventTime: at(1),
          activityTaskScheduledEventAttributes: {
            activityType: { name: evil },
            taskQueue: { name: evil },
            input: request,
          },
        },
        {
          eventId: 3,
          eventTime: at(2),
          activityTaskStartedEventAttributes: { scheduledEventId: 2, attempt: 7, lastFailure: failure },
        },
        { eventId: 4, eventTime: at(3), activityTaskFailedEventAttributes: { scheduledEventId: 2, failure } },
        { eventId: 5, eventTime: at(4), userMetadata: { summary: evil }, timerStartedEventAttributes: {} },
        {
          eventId: 6,
          eventTime: at(5),
          workflowExecutionSignaledEventAttributes: { signalName: evil, input: request },
        },
        {
          eventId: 7,
          eventTime: at(6),
          workflowExecutionUpdateAcceptedEventAttributes: {
            acceptedRequest: { input: { name: evil, args: [{ step: evil, by: evil, reason: evil }] } },
          },
        },
        { eventId: 8, eventTime: at(7), workflowExecutionFailedEventAttributes: { failure } },
      ],
      'hostile',
    ),
  );
};

describe('what others wrote', () => {
  it.each(HOSTILE.map((evil) => ({ evil, shown: escaped(evil).slice(0, 40) })))(
    'is no word of the drawing: $shown',
    async ({ evil }) => {
      const drawn = hostileHistory(evil);
      const svg = drawSvg(drawn);
      expect(XMLValidator.validate(svg)).toBe(true);
      expect(svg).not.toMatch(/[^\n\x20-\x7e]/);
      expect(svg.match(/<[a-z]+/g)).not.toContainEqual(expect.stringMatching(/script|image|a$/));
      expect(drawTerminal(drawn, PLAIN)).not.toMatch(/[^\n\x20-\x7e]/);
      const diagram = drawMermaid(drawn);
      expect(await parseMermaid(diagram)).toMatchObject({ diagramType: 'sequence' });
      // As many participants as lanes, and no message that the history does not have.
      expect(diagram.match(/^ *participant /gm)).toHaveLength(
        drawn.lanes.filter(({ kind }) => kind !== 'timers').length,
      );
      expect(diagram).not.toMatch(/^ *Note over L0: forged/m);
    },
  );
});

describe('a drawing of every recorded history', () => {
  it.each(['saga', 'other'])('is well-formed SVG, and a diagram that Mermaid reads: %s', async (kind) => {
    const names = readdirSync(join(root, 'test/replay/histories')).filter(
      (name) => name.startsWith('coordinate') === (kind === 'other'),
    );
    expect(names.length).toBeGreaterThan(5);
    for (const name of names) {
      const drawn = timeline(join(root, 'test/replay/histories', name));
      expect(XMLValidator.validate(drawSvg(drawn)), name).toBe(true);
      expect(await parseMermaid(drawMermaid(drawn)), name).toMatchObject({ diagramType: 'sequence' });
    }
  });

  it('is found broken by these checks when it is broken', async () => {
    const drawn = timeline(recorded('compensated-transfer'));
    expect(XMLValidator.validate(drawSvg(drawn).replace('</g>', ''))).not.toBe(true);
    await expect(parseMermaid(drawMermaid(drawn).replace('L0->>L1', 'L0->>'))).rejects.toThrow();
  });
});

describe('temporal-txn timeline --history', () => {
  const run = (...args: string[]) => runCommand(['timeline', ...args], { NO_COLOR: '1', COLUMNS: '90' });

  it('draws a file without Temporal, and the images of the docs are what it draws', async () => {
    const [terminal, ...images] = await Promise.all([
      run('--history', recorded('compensated-transfer')),
      ...['compensated-transfer', 'two-phase-commit'].map((name) =>
        run('--history', recorded(name), '--format', 'svg'),
      ),
    ]);
    expect(terminal).toMatchObject({
      exitCode: 0,
      stderr: '',
      stdout: expect.stringMatching(/^transferMoney transfer-4709: failed after \d+ ms\n/),
    });
    for (const [i, name] of ['compensated-transfer', 'two-phase-commit'].entries())
      expect(images[i]?.stdout).toBe(readFileSync(join(root, 'docs/images', `timeline-${name}.svg`), 'utf8'));
  });

  it.each([
    { what: 'no JSON', text: '{' },
    { what: 'no history', text: '{"events": []}' },
    { what: 'null', text: 'null' },
    { what: 'other JSON', text: '{"events": [{"eventId": "1", "eventTime": "2026-01-01T00:00:00Z"}]}' },
    { what: 'a bad time', text: '[{"eventTime": "soon", "timerFiredEventAttributes": {}}]' },
    { what: 'numbers', text: '[1, 2]' },
  ])('refuses a file that is $what', ({ text }) => {
    expect(() => readFile(file(text))).toThrow(InvalidHistory);
  });

  it('says what is wrong with the arguments', async () => {
    const [neither, both, gone] = await Promise.all([
      run(),
      run('transfer-1', '--history', recorded('two-phase-commit')),
      run('--history', '/nowhere/events.json', '-o', 'json'),
    ]);
    for (const printed of [neither, both])
      expect(printed).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('Give either an id or a file') });
    expect(gone.exitCode).toBe(2);
    expect(JSON.parse(gone.stderr)).toMatchObject({ error: 'InvalidHistory', exitCode: 2 });
  });
});
