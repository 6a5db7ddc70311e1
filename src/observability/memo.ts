/** What a client writes into the memo of a workflow that it starts as a transaction. */

/** Hash of the transaction's input: the same id with another hash is another business operation. */
export const REQUEST_MEMO = 'txnRequest';

/** What a group writes there when it hands a transaction over to a workflow of its own: its heritage. */
export const GROUP_MEMO = 'txnGroup';
