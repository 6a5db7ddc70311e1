/**
 * The seam at which handlers are registered. Whatever came before its handler was there is handed to it at once, in the midst of what
 * registers it; and so are messages for other handlers that still wait. What they do is no part of the transaction that happens to
 * begin just then, nor of the scope that cancels it, nor of its span.
 */
import { AsyncLocalStorage } from '@temporalio/workflow';

// Cast: it is that of Node.js, whose type the SDK leaves at its constructor.
const { snapshot } = AsyncLocalStorage as typeof AsyncLocalStorage & {
  readonly snapshot?: () => (work: () => void) => void;
};

/**
 * Does something as if nothing had begun yet: this module is loaded before the workflow runs. Where it is loaded by anybody else, for
 * its names, there is nothing to do.
 */
export const outside: (work: () => void) => void = snapshot?.() ?? ((work) => work());
