/** What a service's workers run besides activities: its recovery, its part in three-phase commit, and the relays of its outbox. */
export { participateInThreePhaseCommit, recoverParticipant, relayOutbox } from '../workflow';
