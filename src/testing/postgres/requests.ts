/**
 * What a client asks, request by request: a Query, or in the extended protocol all messages up to a Sync, which drivers send in one
 * go. A request carries the statements that it executes; the server answers it with one ReadyForQuery.
 */
import { boundStatement, FRONTEND, parsedStatement, queryText } from './wire';
import type { Message } from './wire';

export interface Request {
  /**
   * - `pass`: nothing that the server answers by itself, like the rows of a COPY: to be passed on as it is.
   * - `part`: ends with a Flush. The server answers, and is ready for another query only after the rest, up to the Sync.
   * - `whole`: is answered up to and with the next ReadyForQuery, together with its parts if it has any.
   */
  readonly kind: 'pass' | 'part' | 'whole';
  readonly bytes: Buffer;
  /** The texts of the statements that are executed. A Query is one, even if its text has several. */
  readonly statements: readonly string[];
}

/** Puts the messages of one client together to requests. */
export class RequestReader {
  readonly #texts = new Map<string, string>();
  #batch: Buffer[] = [];
  #statements: string[] = [];
  #copyOwesSync = false;
  #last: 'simple' | 'extended' = 'simple';

  /** Takes the next message and answers the request that is complete with it. */
  read(message: Message): Request | undefined {
    switch (message.type) {
      case FRONTEND.startup:
      case FRONTEND.functionCall:
        return { kind: 'whole', bytes: message.bytes, statements: [] };
      case FRONTEND.query:
        this.#last = 'simple';
        this.#copyOwesSync = false;
        return { kind: 'whole', bytes: message.bytes, statements: [queryText(message)] };
      case FRONTEND.parse: {
        const { name, text } = parsedStatement(message);
        this.#texts.set(name, text);
        return this.#collect(message);
      }
      case FRONTEND.bind:
        this.#statements.push(this.#texts.get(boundStatement(message)) ?? '');
        return this.#collect(message);
      case FRONTEND.describe:
      case FRONTEND.execute:
      case FRONTEND.close:
        return this.#collect(message);
      case FRONTEND.flush:
        return this.#release(message, 'part');
      case FRONTEND.sync:
        // The server overlooks the Sync that came before the rows of a COPY; the one after them gets the only ReadyForQuery.
        if (this.#copyOwesSync && this.#batch.length === 0) {
          this.#copyOwesSync = false;
          return { kind: 'pass', bytes: message.bytes, statements: [] };
        }
        return this.#release(message, 'whole');
      case FRONTEND.copyDone:
      case FRONTEND.copyFail:
        this.#copyOwesSync = this.#last === 'extended';
        return { kind: 'pass', bytes: message.bytes, statements: [] };
      default:
        return { kind: 'pass', bytes: message.bytes, statements: [] };
    }
  }

  #collect({ bytes }: Message): undefined {
    this.#last = 'extended';
    this.#copyOwesSync = false;
    this.#batch.push(bytes);
  }

  #release({ bytes }: Message, kind: 'part' | 'whole'): Request {
    const request = { kind, bytes: Buffer.concat([...this.#batch, bytes]), statements: this.#statements };
    this.#batch = [];
    this.#statements = [];
    return request;
  }
}
