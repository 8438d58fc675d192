import { render } from "preact";
import { App } from "./app.tsx";
import { ApplianceProvider, createAppliance } from "./appliance.ts";
import { createRouter, RouterProvider } from "./router.tsx";

const ended = new AbortController();
window.addEventListener("pagehide", (event) => {
  // A page that the browser keeps for the back button goes on living.
  if (!event.persisted) ended.abort();
});

const root = document.getElementById("app");
if (root === null) throw new Error("index.html has no #app.");
render(
  <ApplianceProvider value={createAppliance(location.origin, ended.signal)}>
    <RouterProvider value={createRouter(ended.signal)}>
      <App />
    </RouterProvider>
  </ApplianceProvider>,
  root,
);
