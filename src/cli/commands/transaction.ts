/** The commands about one transaction. */
import type { Command } from 'commander';
import { addRulings } from './rule';
import { addShow } from './show';
import { addTimeline } from './timeline';

/** Adds `show`, `explain`, `timeline`, `retry`, `skip` and `compensate`. */
export function addTransactionCommands(program: Command): void {
  addShow(program);
  addTimeline(program);
  addRulings(program);
}
