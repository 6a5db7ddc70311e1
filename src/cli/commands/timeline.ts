/** The command `timeline`. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { InvalidArgument, TemporalUnavailable, UnknownWorkflow } from '../errors';
import { ExitCode } from '../exit-code';
import type { Coordinators } from '../coordinators';
import { decodeHistory } from '../payloads';
import type { Answer } from '../table';
import { dataConverterOfEnvironment } from '../temporal';
import { loadHistoryFile, readEvents } from '../timeline/history';
import { drawMermaid } from '../timeline/mermaid';
import { drawSvg } from '../timeline/svg';
import { drawTerminal } from '../timeline/terminal';
import { timelineOf } from '../timeline/timeline';
import type { Timeline } from '../timeline/timeline';
import { lookAtHistory } from '../transaction/workflow';
import { tellTravels, whereItTravels } from '../travels';
import { idOf, inSession, withNamespace } from './session';
import type { NamespaceOptions } from './session';

const TIMELINE_HELP = `Draws what happened to a transaction, with its branches as lanes, from the history of its workflow. Changes nothing.

  temporal-txn timeline transfer-4711
  temporal-txn timeline transfer-4711 --format svg > transfer-4711.svg
  temporal-txn timeline --history events.json --format mermaid

A history file is what temporal workflow show --output json prints, or what Download in the Web UI saves. What was sent to the
services and returned by them is not shown; messages of failures, votes and rulings are. A long silence is cut short in the
drawing, and said to be.

A transaction that travels in a group, or has ended in one, has no history of its own: its group has, and is named.

Exit codes: 0 drawn; 2 wrong usage, or there is no such workflow, or Temporal does not answer.
`;

interface TimelineOptions extends NamespaceOptions {
  readonly history?: string;
  readonly format: Format;
}

type Format = 'terminal' | 'mermaid' | 'svg';

export function addTimeline(program: Command): void {
  withNamespace(program.command('timeline').summary('what happened when: in the terminal, as Mermaid, as SVG'))
    .addHelpText('before', TIMELINE_HELP)
    .argument('[transaction-id]', 'the transaction: the id of its workflow')
    .option('--history <file>', 'an exported history, instead of asking Temporal')
    .addOption(
      new Option('--format <format>', 'how to draw it').choices(['terminal', 'mermaid', 'svg']).default('terminal'),
    )
    .action((text: string | undefined, options: TimelineOptions) =>
      inSession(options, 'Nothing was changed.', async (coordinators, namespace) =>
        draw(await timelineFor(text, options, coordinators, namespace), options.format),
      ),
    );
}

async function timelineFor(
  text: string | undefined,
  { history }: TimelineOptions,
  coordinators: Coordinators,
  namespace: string,
): Promise<Timeline> {
  if ((text === undefined) === (history === undefined))
    throw new InvalidArgument('the transaction id', text, 'Give either an id or a file with --history.');
  if (history !== undefined) {
    const events = await decodeHistory(loadHistoryFile(history), dataConverterOfEnvironment());
    return timelineOf(readEvents(events, history));
  }
  const id = idOf(text ?? '');
  const found = await lookAtHistory(coordinators, id);
  if (found.kind === 'down')
    throw new TemporalUnavailable(
      found.why,
      'The history is there: try again when it answers, or draw an exported one with --history.',
    );
  if (found.kind === 'unknown') {
    const travels = await whereItTravels(coordinators, id, namespace);
    throw new UnknownWorkflow(id, namespace, tellTravels(travels, id, namespace));
  }
  return timelineOf(found.events, found.pending);
}

const WIDTH = 100;

function draw(timeline: Timeline, format: Format): Answer {
  const { columns, isTTY } = process.stdout;
  const drawings: Record<Format, () => string> = {
    svg: () => drawSvg(timeline).trimEnd(),
    mermaid: () => drawMermaid(timeline).trimEnd(),
    terminal: () =>
      drawTerminal(timeline, {
        // A program that reads it may say how wide its window is.
        width: columns || Number(process.env['COLUMNS']) || WIDTH,
        // The convention of no-color.org: set, and not empty.
        colour: isTTY && !process.env['NO_COLOR'],
        fold: isTTY,
      }),
  };
  return { exitCode: ExitCode.Well, text: drawings[format](), json: timeline };
}
