/** Who stands as the author of a task's commits, and what their messages end with. */
export interface AttributionSettings {
  /** Whoever is not the author stands as co-author. */
  author: "person" | "agent";
  coAuthor: boolean;
  /** A trailer with the task's address. */
  taskTrailer: boolean;
}

export const usualAttribution: AttributionSettings = { author: "person", coAuthor: true, taskTrailer: true };

export interface Identity {
  name: string;
  email: string;
}

export interface Attribution {
  author: Identity;
  /** Lines such as `Co-authored-by: Name <address>`, in the format of git-interpret-trailers(1). */
  trailers: string[];
}

export function attributionOf(
  settings: AttributionSettings,
  task: {
    person: {
      name: string;
      /** Empty where nobody said. */
      email: string;
    };
    /** An empty address where it has none. */
    agent: Identity;
    url: string;
  },
): Attribution {
  const person = identity(task.person.name, task.person.email);
  const agent = identity(task.agent.name, task.agent.email);
  const [author, other] = settings.author === "person" ? [person, agent] : [agent, person];
  return {
    author,
    trailers: [
      ...(settings.coAuthor ? [`Co-authored-by: ${other.name} <${other.email}>`] : []),
      ...(settings.taskTrailer ? [`Task: ${task.url}`] : []),
    ],
  };
}

/** An address that no mail goes to (RFC 2606) stands in for one that is not known. */
function identity(name: string, email: string): Identity {
  // What git itself drops from names (ident.c): angle brackets and line ends would end the field.
  const plain = name.replace(/[<>\p{Cc}]/gu, "").trim();
  const local = plain.replace(/[^A-Za-z0-9._-]+/g, ".").replace(/^\.+|\.+$/g, "");
  return {
    name: plain === "" ? "unknown" : plain,
    email: email === "" ? `${local === "" ? "unknown" : local}@ccw.invalid` : email,
  };
}
