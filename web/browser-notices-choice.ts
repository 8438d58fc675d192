/** Whether this browser shows notifications: a choice of the browser, not of the person. */
export const browserNotices = {
  chosen(): boolean {
    return (
      localStorage.getItem(key) === "on" && "Notification" in window && Notification.permission === "granted"
    );
  },
  choose(on: boolean): void {
    if (on) localStorage.setItem(key, "on");
    else localStorage.removeItem(key);
  },
};

const key = "browser-notices";
