/** The command `doctor`: what it found in words. */
import { ExitCode } from '../exit-code';
import { count, printable } from '../printable';
import type { Answer } from '../table';
import type { Checked, Result } from './check';

/** Puts the checks into words. */
export function tellChecks(checks: readonly Checked[]): Answer {
  const counts = {
    ok: numberOf(checks, 'ok'),
    warning: numberOf(checks, 'warning'),
    problem: numberOf(checks, 'problem'),
    notChecked: numberOf(checks, 'not checked'),
  };
  const subjects = [...new Set(checks.map(({ subject }) => subject))];
  const width = Math.max(...checks.map(({ check }) => check.length));
  return {
    exitCode: exitCodeOf(counts),
    text: [
      summaryOf(counts),
      ...subjects.map((subject) =>
        [subject, ...checks.filter((one) => one.subject === subject).flatMap((one) => tellCheck(one, width))].join(
          '\n',
        ),
      ),
    ].join('\n\n'),
    json: { changed: false, counts, checks },
  };
}

const numberOf = (checks: readonly Checked[], status: Result['status']): number =>
  checks.filter((check) => check.status === status).length;

type Counts = Readonly<Record<'ok' | 'warning' | 'problem' | 'notChecked', number>>;

function exitCodeOf({ problem, notChecked }: Counts): ExitCode {
  if (problem > 0) return ExitCode.NeedsPerson;
  return notChecked > 0 ? ExitCode.Incomplete : ExitCode.Well;
}

function summaryOf({ ok, warning, problem, notChecked }: Counts): string {
  const rest = [`${ok} ok`, ...(notChecked === 0 ? [] : [`${notChecked} not checked`])].join(', ');
  return `${count(problem, 'problem')}, ${count(warning, 'warning')}, ${rest}. Nothing was changed.`;
}

const STATUS_WIDTH = 'not checked'.length;

function tellCheck({ status, check, found, ...rest }: Checked, width: number): string[] {
  const line = `  ${status.padEnd(STATUS_WIDTH)}  ${check.padEnd(width)}  ${printable(found)}`;
  // Never shortened: it is there to be typed.
  return 'remedy' in rest
    ? [line, `  ${' '.repeat(STATUS_WIDTH)}  ${' '.repeat(width)}  to do: ${rest.remedy}`]
    : [line];
}
