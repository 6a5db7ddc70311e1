/** How a command prints its answer: `-o table|json` on every command, in one place; `--json` is the older name of `-o json`. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { tellFailure } from './databases';
import { CommandError } from './errors';
import { ExitCode } from './exit-code';
import { escaped, toJson } from './printable';
import type { Answer } from './table';

type OutputFormat = 'table' | 'json';

export interface OutputOptions {
  readonly output: OutputFormat;
}

/** Adds the options; `output` of the parsed ones says which it is. */
export const withOutput = (command: Command): Command =>
  command
    .addOption(
      new Option('-o, --output <format>', 'for people or for programs').choices(['table', 'json']).default('table'),
    )
    .addOption(new Option('--json', 'the same as -o json').implies({ output: 'json' }));

/**
 * Runs a command, prints its answer or its failure, and sets the exit code.
 *
 * @param tellUnforeseen what to say of an error that is none of ours: whether anything was changed, and what went wrong
 */
export async function printAnswer(
  { output }: OutputOptions,
  command: () => Promise<Answer>,
  tellUnforeseen: (error: unknown) => string = (error) => `Not done: ${tellFailure({ secrets: [] }, error)}`,
): Promise<void> {
  try {
    const { text, json, exitCode } = await command();
    console.log(output === 'json' ? toJson(json) : text);
    process.exitCode = exitCode;
  } catch (error) {
    const known = error instanceof CommandError;
    const message = known ? escaped(error.message) : tellUnforeseen(error);
    process.exitCode = known ? error.exitCode : ExitCode.Incomplete;
    const name = error instanceof Error ? error.name : 'Error';
    console.error(output === 'json' ? toJson({ error: name, message, exitCode: process.exitCode }) : message);
  }
}
