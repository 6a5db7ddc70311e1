/** Where a transaction is that is no workflow: the databases, where the command knows them, name the group that has begun it. */
import { isEnded, show } from '../protocol';
import { readConfiguration } from './config';
import type { Coordinators } from './coordinators';
import { closeDatabases, openDatabases } from './databases';
import type { Database } from './databases';
import { DEFAULT_GRACE_MS, DEFAULT_HARD_LIMIT_MS } from './defaults';
import { CommandError } from './errors';
import { lookAtDatabases } from './transaction/databases';
import { lookAtGroup } from './transaction/group';
import { EXECUTE_AGAIN, HOW_INTERRUPTED, resetCommand } from './transaction/verdict-words';

export type Travels =
  /** No database could be asked. */
  | { readonly kind: 'not-asked' }
  /** No database knows a group of it. */
  | { readonly kind: 'nowhere' }
  | { readonly kind: 'under-way' | 'ended'; readonly group: string }
  /** Its group was ended from outside, and it has not, as far as one can tell. */
  | { readonly kind: 'interrupted'; readonly group: string; readonly how: string }
  /** Its group has left it, or is forgotten, and Temporal knows nothing of what came after. */
  | { readonly kind: 'left' | 'forgotten'; readonly group: string };

/** Asks the databases of the environment. Never throws: whoever asks has something else to say. */
export async function whereItTravels(coordinators: Coordinators, id: string, namespace: string): Promise<Travels> {
  const databases = databasesOfEnvironment();
  if (databases.length === 0) return { kind: 'not-asked' };
  try {
    const patience = { graceMs: DEFAULT_GRACE_MS, hardLimitMs: DEFAULT_HARD_LIMIT_MS };
    const looking = { id, reports: [], namespace, patience, pauseMs: 0 };
    const found = await lookAtDatabases(databases, coordinators, looking);
    const look = await lookAtGroup(coordinators, id, found);
    if (look.kind === 'down' || found.lookedAt.length === 0) return { kind: 'not-asked' };
    if (look.kind === 'unknown') {
      if (look.begunIn === undefined) return { kind: 'nowhere' };
      const { group, status } = look.begunIn;
      return { kind: status === undefined ? 'forgotten' : 'left', group };
    }
    const { id: group, status, report } = look;
    if (report.kind === 'told' && report.reports.every(isEnded)) return { kind: 'ended', group };
    const how = HOW_INTERRUPTED[status];
    if (how !== undefined) return { kind: 'interrupted', group, how };
    return { kind: status === 'RUNNING' ? 'under-way' : 'ended', group };
  } finally {
    await closeDatabases(databases);
  }
}

function databasesOfEnvironment(): Database[] {
  try {
    return openDatabases(readConfiguration(undefined), 'look');
  } catch (error) {
    // What is wrong with the configuration is told by the commands that need it.
    if (error instanceof CommandError) return [];
    throw error;
  }
}

/** In a sentence, with what to type. Empty where there is nothing to say. */
export function tellTravels(travels: Travels, id: string, namespace: string): string {
  switch (travels.kind) {
    case 'not-asked':
      return `It may travel in a group, or have ended in one: temporal-txn show ${id} finds out, where it knows the databases.`;
    case 'nowhere':
      return '';
    case 'under-way':
      return `It travels in group ${show(travels.group)}, and gets a workflow of its own where it does not end there soon. ${see(id, travels.group)}`;
    case 'ended':
      return `It has ended in group ${show(travels.group)}. ${see(id, travels.group)}`;
    case 'interrupted':
      return `It was in group ${show(travels.group)}, which was ${travels.how}. Have that hand it over: ${resetCommand(travels.group, namespace)}. ${see(id, travels.group)}`;
    case 'left':
      return `It was begun in group ${show(travels.group)}, which has left it to a workflow of its own. ${EXECUTE_AGAIN} ${see(id, travels.group)}`;
    case 'forgotten':
      return `It was begun in group ${show(travels.group)}, which Temporal has forgotten. ${EXECUTE_AGAIN}`;
  }
}

const see = (id: string, group: string): string => `See temporal-txn show ${id}, and temporal-txn timeline ${group}.`;
