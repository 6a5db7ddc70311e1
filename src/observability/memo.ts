/** What a client writes into the memo of a workflow that it starts as a transaction. */

/** Hash of the transaction's input: the same id with another hash is another business operation. */
export const REQUEST_MEMO = 'txnRequest';

/**
 * What the workflow goes on with, see `Heritage`: a group writes it there when it hands a transaction over to a workflow of its own, and a
 * client that resumes one. Only groups did, when it got its name in the memo, which workflows under way have.
 */
export const HERITAGE_MEMO = 'txnGroup';
