/**
 * What to do about a prepared transaction whose coordinator does not finish it: for the recovery of a participant and for
 * the person who asks. Everything goes through the register: a wrong guess costs an abort, never atomicity.
 */
import type { Decision } from './words';

/** What is known of a prepared branch, or of one that should be prepared and is not. */
export interface InDoubt {
  readonly ageMs: number;
  /** `unreadable`: the register's database, or its participant, does not answer. */
  readonly register: Decision | 'none' | 'unreadable';
  /** `unknown`: Temporal could not be asked, or nobody knows which workflow it is. */
  readonly coordinator: 'running' | 'gone' | 'unknown';
  /** Whether it is listed in `pg_prepared_xacts`. If not, it never got that far, or is lost: following the register tells. */
  readonly prepared: boolean;
  /** Whether our role may finish it. */
  readonly owned: boolean;
  /** Three-phase commit: all have voted `commit`, so nobody can have aborted of its own accord. */
  readonly preCommitted: boolean;
}

/** All in milliseconds. */
export interface Patience {
  /** How long a prepared branch is left alone: its coordinator is most likely at work. */
  readonly graceMs: number;
  /** From when on a coordinator that seems to run is given up: a prepared transaction holds locks and stops vacuum. */
  readonly hardLimitMs: number;
}

/** What to do, and why. */
export interface Verdict {
  readonly act:
    /** Do what the register says. */
    | { readonly kind: 'apply'; readonly decision: Decision }
    /** Propose this to the register and do what it says then. */
    | { readonly kind: 'decide'; readonly propose: Decision }
    /** Nothing now. */
    | { readonly kind: 'leave' }
    /** A person has to look. */
    | { readonly kind: 'hold' };
  readonly because: string;
}

/** Judges one branch. */
export function judge(found: InDoubt, { graceMs, hardLimitMs }: Patience): Verdict {
  const { ageMs, register, coordinator, prepared, owned, preCommitted } = found;
  const propose = preCommitted ? 'commit' : 'abort';
  if (!owned) return hold('Its prepared transaction belongs to a database role that this worker cannot act as.');
  switch (register) {
    case 'commit':
    case 'abort':
      return ageMs < graceMs
        ? leave('It is decided, and its coordinator is most likely finishing it.')
        : { act: { kind: 'apply', decision: register }, because: `The register says ${register}.` };
    case 'unreadable':
      return leave('The register does not answer: only it can tell, and until then the branch stays prepared.');
    case 'none':
      if (ageMs < graceMs) return leave('It is young: its coordinator is most likely collecting votes.');
      if (coordinator === 'gone') return decide(propose, 'There is no decision, and its coordinator is not running.');
      // What is not prepared holds nothing that others wait for.
      if (prepared && ageMs >= hardLimitMs)
        return decide(propose, 'There is no decision, and it has been prepared for longer than the hard limit.');
      return leave(
        coordinator === 'running'
          ? 'Its coordinator is running.'
          : 'It is not known whether its coordinator is running.',
      );
  }
}

const leave = (because: string): Verdict => ({ act: { kind: 'leave' }, because });
const hold = (because: string): Verdict => ({ act: { kind: 'hold' }, because });
const decide = (propose: Decision, because: string): Verdict => ({ act: { kind: 'decide', propose }, because });
