import { expect, it } from 'vitest';

import { inProcess } from '../../../src/outbox/publishers/in-process';
import { anEvent, unhurried } from '../events';

it('gives the event and the signal to the function, and waits for it', async () => {
  const event = anEvent();
  const signal = unhurried();
  const seen: unknown[] = [];
  await inProcess(async (...given) => {
    await Promise.resolve();
    seen.push(...given);
  }).publish(event, signal);
  expect(seen).toEqual([event, signal]);
});

it('has not published what the function throws at, at once or later', async () => {
  const thrown = new Error('no');
  const throwing = inProcess(() => {
    throw thrown;
  });
  await expect(throwing.publish(anEvent(), unhurried())).rejects.toBe(thrown);
  await expect(inProcess(() => Promise.reject(thrown)).publish(anEvent(), unhurried())).rejects.toBe(thrown);
});
