/** Links that hold a recipe, or name a session to watch: all of it in the fragment, which no server ever sees. */

import { RecipeError } from "./text.ts";

/** What the fragment of the page's address asks for. */
export interface Fragment {
  token: string; // the server's bearer token
  wall: string; // the class wall's token
  watch: string; // a session's name
  recipe: string; // packed
}

export function readFragment(hash: string): Fragment {
  const fields = new URLSearchParams(hash.replace(/^#/, ""));
  const field = (name: string): string => fields.get(name) ?? "";
  return { token: field("token"), wall: field("wall"), watch: field("watch"), recipe: field("recipe") };
}

export function recipeLink(page: string, packed: string): string {
  return `${page}#recipe=${packed}`;
}

/** Return the link by which others watch a session. It lets them in, so it has the server's token. */
export function watchLink(page: string, session: string, token: string): string {
  const fields = new URLSearchParams({ watch: session, ...(token ? { token } : {}) });
  return `${page}#${fields.toString()}`;
}

/** Return the bytes that a stream of the platform makes of some bytes. */
export async function through(
  bytes: Uint8Array<ArrayBuffer>,
  transform: CompressionStream | DecompressionStream,
  most = Infinity,
): Promise<Uint8Array<ArrayBuffer>> {
  const reader = new Blob([bytes]).stream().pipeThrough(transform).getReader();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (let size = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > most) {
      await reader.cancel();
      throw new RecipeError("it is too large");
    }
    parts.push(value);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** Return a text deflated, in letters that an address may hold. */
export async function pack(text: string): Promise<string> {
  const bytes = await through(new TextEncoder().encode(text), new CompressionStream("deflate-raw"));
  let letters = "";
  for (const byte of bytes) letters += String.fromCharCode(byte);
  return btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Return the text of `pack`. Throws a `RecipeError` for anything else. */
export async function unpack(packed: string, most: number): Promise<string> {
  try {
    const letters = atob(packed.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
    return new TextDecoder().decode(await through(bytes, new DecompressionStream("deflate-raw"), most));
  } catch (error) {
    throw error instanceof RecipeError ? error : new RecipeError("the link is damaged or cut short");
  }
}
