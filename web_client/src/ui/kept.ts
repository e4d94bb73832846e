/**
 * What a tab keeps over a reload: its session, and the server's token.
 *
 * A session is kept only while the page is away, so that a tab that is duplicated begins its own.
 */

const SESSION = "diffusion-toy-session";
const TOKEN = "diffusion-toy-token";
const WALL_TOKEN = "diffusion-toy-wall-token";
const NAME = "diffusion-toy-name";
const ANSWER = "diffusion-toy-answer";

function get(key: string): string {
  try {
    return sessionStorage.getItem(key) ?? "";
  } catch {
    return ""; // a browser that keeps nothing
  }
}

function set(key: string, value: string): void {
  try {
    if (value) sessionStorage.setItem(key, value);
    else sessionStorage.removeItem(key);
  } catch {
    // as above
  }
}

export function keptSession(): Uint8Array | undefined {
  try {
    const letters = atob(get(SESSION));
    return letters ? Uint8Array.from(letters, (letter) => letter.charCodeAt(0)) : undefined;
  } catch {
    return undefined;
  }
}

export function keepSession(token: Uint8Array): void {
  set(SESSION, btoa(Array.from(token, (byte) => String.fromCharCode(byte)).join("")));
}

export function forgetSession(): void {
  set(SESSION, "");
}

export function keptToken(): string {
  return get(TOKEN);
}

export function keepToken(token: string): void {
  set(TOKEN, token);
}

export function keptWallToken(): string {
  return get(WALL_TOKEN);
}

export function keepWallToken(token: string): void {
  set(WALL_TOKEN, token);
}

/** Return the name that the class wall has for this tab. */
export function keptName(): string {
  return get(NAME);
}

export function keepName(name: string): void {
  set(NAME, name);
}

/** Return the class wall's offer that was answered last. */
export function keptAnswer(): string {
  return get(ANSWER);
}

export function keepAnswer(answer: string): void {
  set(ANSWER, answer);
}
