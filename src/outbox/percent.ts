/** Percent-encoding, as URIs have it, with a choice of what stays readable. */

/** @param others what is replaced by the bytes of its UTF-8; with the flags `g` and `u` */
export const percentEncode = (text: string, others: RegExp): string =>
  text.replace(others, (character) =>
    [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
