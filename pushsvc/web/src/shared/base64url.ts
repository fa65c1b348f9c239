/** Decodes base64url or base64, padded or not (RFC 4648 section 5). Throws on other input. */
export function decodeBase64url(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/").replace(/=+$/, ""));
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** Encodes without padding, as PushSubscription.toJSON() does. */
export function encodeBase64url(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/** Reports whether a subscription made with `used` belongs to `key`. Engines that do not
 * tell (null) count as equal: a needless renewal would cost the visitor's history, and the
 * server sees a needed one as 403. */
export function sameKey(used: ArrayBuffer | null | undefined, key: string): boolean {
  return !used || encodeBase64url(new Uint8Array(used)) === key.replace(/=+$/, "");
}
