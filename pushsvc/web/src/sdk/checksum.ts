/** A 32-bit checksum of a text: it distinguishes one identity from another without
 * storing it. Not a cryptographic hash. */
export function checksum(text: string): number {
  let sum = 0;
  for (const char of text) sum = (Math.imul(sum, 31) + char.codePointAt(0)!) | 0;
  return sum;
}
