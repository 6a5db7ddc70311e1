/** The errors of the encryption room. None of them shows a key, or what was encrypted. */
import { show } from '../protocol';

/** Keys cannot be used. Thrown before anything is encrypted with them. */
export class InvalidEncryptionKeys extends Error {
  override readonly name = 'InvalidEncryptionKeys';

  constructor(problem: string) {
    super(
      `Nothing was started: ${problem}. A key is 32 random bytes in base64, such as openssl rand -base64 32 prints, under an id of 1 to 64 ` +
        'characters of A-Z a-z 0-9 . _ -.',
    );
  }
}

/**
 * A payload is encrypted with a key that is not here. Whatever waits for it goes on once the key is there again. What has happened
 * meanwhile only whoever asked can tell: a client says it by {@link AnswerUnreadable} of temporal-txn/client.
 */
export class EncryptionKeyMissing extends Error {
  override readonly name = 'EncryptionKeyMissing';

  constructor(
    /** As the payload names it. */
    readonly keyId: string,
  ) {
    super(
      `A payload is encrypted with the key ${show(keyId)}, which this process does not have. Give it the key again ` +
        'and start it again; what waits for it goes on by itself. A key is kept for as long as histories may hold it.',
    );
  }
}

/**
 * A payload that can never be read, whatever keys there are: it was changed, cut off, or never one of ours. A codec of your own throws
 * it for such; for everything else that may pass, any other error.
 */
export class UndecodablePayload extends Error {
  override readonly name = 'UndecodablePayload';

  constructor(why: string) {
    super(
      `A payload cannot be decrypted: ${why}. Compare the keys of this process with those of the deployment; or whoever has sent it did not use ours.`,
    );
  }
}
