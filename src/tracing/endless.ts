/**
 * Workflows that run for as long as there is a service: its recovery, and the relays of its outbox. They are not traced: theirs would
 * be one trace without an end. What they do for a transaction is found by the transaction's own trace, or in its history.
 */
const ENDLESS: readonly (string | undefined)[] = ['recoverParticipant', 'relayOutbox'];

export const isEndless = (workflowType: string | undefined): boolean => ENDLESS.includes(workflowType);
