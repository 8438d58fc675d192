import { type ReadonlySignal, signal } from "@preact/signals";
import { type ComponentChildren, createContext } from "preact";
import { useContext } from "preact/hooks";

/** Addresses by the History API; the server answers each of them with the same page. */
export interface Router {
  path: ReadonlySignal<string>;
  go(path: string): void;
}

export function createRouter(ended: AbortSignal): Router {
  const path = signal(location.pathname);
  addEventListener("popstate", () => (path.value = location.pathname), { signal: ended });
  return {
    path,
    go(to) {
      if (to !== location.pathname) history.pushState(null, "", to);
      path.value = to;
    },
  };
}

const RouterContext = createContext<Router | undefined>(undefined);
export const RouterProvider = RouterContext.Provider;

export function useRouter(): Router {
  const router = useContext(RouterContext);
  if (router === undefined) throw new Error("No router is provided.");
  return router;
}

export function Link(props: {
  to: string;
  class?: string;
  current?: boolean;
  label?: string;
  children: ComponentChildren;
}) {
  const router = useRouter();
  const follow = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    router.go(props.to);
  };
  return (
    <a
      href={props.to}
      class={props.class}
      aria-label={props.label}
      aria-current={props.current ? "page" : undefined}
      onClick={follow}
    >
      {props.children}
    </a>
  );
}
