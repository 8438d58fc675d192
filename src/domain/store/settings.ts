/** Small settings made on the set-up page; values are encrypted at rest. */
export interface SettingStore {
  get(name: string): string | undefined;
  set(name: string, value: string): void;
  clear(name: string): void;
}
