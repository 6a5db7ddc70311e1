/**
 * One client's connection through the fault proxy. Promises: what the client sends reaches the server in this order, also what it
 * sent before it left; answers reach the client in order; and what is held for a fault holds up all that comes after it on this
 * connection, as a network does, and nothing on any other.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { holdsAnswer } from './faults';
import type { Faults, Strike } from './faults';
import { RequestReader } from './requests';
import type { Request } from './requests';
import { sendCancelRequest, send, whenAborted, whenClosed } from './sockets';
import type { Address } from './sockets';
import { answerIn, BACKEND, backendKey, FRONTEND, MessageReader } from './wire';
import type { Answer, BackendKey, Message, Phase } from './wire';

/** What is answered with one ReadyForQuery. */
interface Exchange {
  readonly strikes: Strike[];
  /** Whether a Flush has asked for answers before the end. The client waits for them, so only the end can be held. */
  flushed: boolean;
  /** Answers that wait for the end. */
  readonly held: Buffer[];
  answer: Answer | undefined;
  /** The server is ready for another query. */
  finished: boolean;
  cancelling: Promise<void> | undefined;
}

const ENCRYPTION_REFUSED = 'N';
const CANCEL_INTERVAL_MS = 20;
/** How much may wait to be handled before a socket is no longer read. */
const BACKLOG_BYTES = 1 << 20;

export class ProxiedConnection {
  /** Both sides are closed, and nothing is held. */
  readonly over: Promise<unknown>;
  readonly #closed: Promise<unknown>;
  readonly #server: Socket;
  readonly #requests = new RequestReader();
  /** What the server has still to answer, the oldest first. */
  readonly #exchanges: Exchange[] = [];
  /** What comes next, or has come in parts. */
  #current = newExchange();
  #key: BackendKey | undefined;
  /** The client has said its last word. */
  readonly #clientGone = new AbortController();
  /** The server has said its last word, or the connection is cut. */
  readonly #ended = new AbortController();

  constructor(
    private readonly client: Socket,
    private readonly target: Address,
    private readonly faults: Faults,
    private readonly seen: string[],
  ) {
    const server = connect({ host: target.host, port: target.port, noDelay: true, allowHalfOpen: true });
    this.#server = server;
    this.#closed = Promise.all([whenClosed(client), whenClosed(server)]);
    this.over = Promise.all([this.#closed, whenAborted(this.#ended.signal)]);
    for (const event of ['end', 'close']) client.once(event, () => this.#clientGone.abort());
    this.#read(client, 'startup', {
      take: (messages) => this.#fromClient(messages),
      end: async () => void server.end(),
    });
    this.#read(server, 'typed', {
      take: (messages) => this.#fromServer(messages),
      end: () => this.#serverEnded(),
    });
  }

  /** Destroys both sides, with all that is held. */
  async cut(): Promise<void> {
    this.client.destroy();
    this.#server.destroy();
    this.#end();
    await this.#closed;
  }

  /** Has what a socket receives, and then its end, handled in order, however long each takes. */
  #read(
    socket: Socket,
    phase: Phase,
    handle: { take(messages: readonly Message[]): Promise<void>; end(): Promise<void> },
  ): void {
    const reader = new MessageReader(phase);
    let backlogBytes = 0;
    let turn = Promise.resolve();
    const inTurn = (work: () => Promise<void>): void => {
      // What is not PostgreSQL's protocol cannot be passed on.
      turn = turn.then(work).catch(() => this.cut());
    };
    socket.on('error', () => undefined); // 'close' follows.
    socket.on('data', (chunk: Buffer) => {
      backlogBytes += chunk.length;
      if (backlogBytes > BACKLOG_BYTES) socket.pause();
      inTurn(async () => {
        await handle.take(reader.push(chunk));
        backlogBytes -= chunk.length;
        if (backlogBytes <= BACKLOG_BYTES && socket.isPaused()) socket.resume();
      });
    });
    for (const event of ['end', 'close']) socket.once(event, () => inTurn(() => handle.end()));
  }

  async #fromClient(messages: readonly Message[]): Promise<void> {
    for (const message of messages) {
      if (message.type === FRONTEND.encryptionRequest) await send(this.client, Buffer.from(ENCRYPTION_REFUSED));
      else {
        const request = this.#requests.read(message);
        if (request && !this.#ended.signal.aborted) await this.#request(request);
      }
    }
  }

  async #request({ kind, bytes, statements }: Request): Promise<void> {
    if (kind === 'pass') return send(this.#server, bytes);
    const exchange = this.#current;
    const strikes = statements.flatMap((statement) => this.faults.strike(statement));
    exchange.strikes.push(...strikes);
    for (const strike of strikes) {
      await this.#before(strike);
      if (this.#ended.signal.aborted) return;
    }
    this.seen.push(...statements);
    if (!this.#exchanges.includes(exchange)) this.#exchanges.push(exchange);
    if (kind === 'part') exchange.flushed = true;
    else this.#current = newExchange();
    await send(this.#server, bytes);
    if (strikes.some(({ fault }) => fault.kind === 'cancel')) exchange.cancelling = this.#cancel(exchange);
  }

  /** What a fault does before the statement is passed on. */
  async #before(strike: Strike): Promise<void> {
    const { fault } = strike;
    switch (fault.kind) {
      case 'kill-before':
        return this.cut();
      case 'delay': {
        const evenIfGone = fault.evenIfGone ?? true;
        await this.#hold(fault.ms, evenIfGone ? [] : [this.#clientGone.signal]);
        if (!evenIfGone && this.#clientGone.signal.aborted) await this.cut();
        return;
      }
      case 'call':
        if (fault.when !== 'after') await this.#call(strike, undefined);
        return;
      case 'kill-after':
      case 'delay-answer':
      case 'cancel':
    }
  }

  /** What a fault does when the server has finished with the statement. */
  async #after(strike: Strike, { answer }: Exchange): Promise<void> {
    const { fault } = strike;
    switch (fault.kind) {
      case 'kill-after':
        return this.cut();
      case 'delay-answer':
        return this.#hold(fault.ms);
      case 'call':
        if (fault.when === 'after') await this.#call(strike, answer);
        return;
      case 'kill-before':
      case 'delay':
      case 'cancel':
    }
  }

  async #fromServer(messages: readonly Message[]): Promise<void> {
    const passing: Buffer[] = [];
    for (const message of messages) {
      const [exchange] = this.#exchanges;
      if (message.type === BACKEND.backendKeyData) this.#key = backendKey(message);
      if (exchange) noteAnswer(exchange, message);
      if (exchange && message.type === BACKEND.readyForQuery) {
        await send(this.client, Buffer.concat(passing.splice(0)));
        await this.#finish(exchange, message);
        if (this.#ended.signal.aborted) return;
      } else if (exchange && !exchange.flushed && exchange.strikes.some(holdsAnswer)) exchange.held.push(message.bytes);
      else passing.push(message.bytes);
    }
    await send(this.client, Buffer.concat(passing));
  }

  async #finish(exchange: Exchange, ready: Message): Promise<void> {
    exchange.finished = true;
    // A request for cancellation that is still on its way would hit the next statement.
    await exchange.cancelling;
    for (const strike of exchange.strikes) {
      await this.#after(strike, exchange);
      if (this.#ended.signal.aborted) return;
    }
    this.#exchanges.shift();
    await send(this.client, Buffer.concat([...exchange.held, ready.bytes]));
    for (const strike of exchange.strikes) strike.end();
  }

  /** The server shut the connection down. What it said at last is passed on, unless it is to be lost. */
  async #serverEnded(): Promise<void> {
    const [exchange] = this.#exchanges;
    if (exchange?.strikes.some(({ fault }) => fault.kind === 'kill-after')) return this.cut();
    if (exchange) await send(this.client, Buffer.concat(exchange.held));
    this.client.end();
    this.#end();
  }

  async #hold(ms: number, until: readonly AbortSignal[] = []): Promise<void> {
    const signal = AbortSignal.any([this.#ended.signal, ...until]);
    await sleep(ms, undefined, { signal }).catch(() => undefined);
  }

  async #call(strike: Strike, answer: Answer | undefined): Promise<void> {
    const { fault, statement } = strike;
    if (fault.kind !== 'call') return;
    try {
      await Promise.race([fault.call({ statement, answer }), whenAborted(this.#ended.signal)]);
    } catch (error) {
      strike.end(error);
      await this.cut();
    }
  }

  /** Asks again until the statement is over: what comes before the server has begun with it is without effect. */
  async #cancel(exchange: Exchange): Promise<void> {
    while (this.#key && !exchange.finished && !this.#ended.signal.aborted) {
      await sendCancelRequest(this.target, this.#key);
      await this.#hold(CANCEL_INTERVAL_MS);
    }
  }

  #end(): void {
    this.#ended.abort();
    for (const { strikes } of [...this.#exchanges, this.#current]) for (const strike of strikes) strike.end();
  }
}

function newExchange(): Exchange {
  return { strikes: [], flushed: false, held: [], answer: undefined, finished: false, cancelling: undefined };
}

function noteAnswer(exchange: Exchange, message: Message): void {
  const answer = answerIn(message);
  if (!answer) return;
  exchange.answer = answer;
  for (const strike of exchange.strikes) strike.answered(answer);
}
