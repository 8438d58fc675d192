/**
 * The engines that end-to-end tests run against: CCW_TEST_ENGINES, as `podman=/path/to.sock,docker=/path/to.sock`.
 * Without it the tests fail, since a sandbox that nobody tried is not known to hold.
 */
export function enginesUnderTest(): { name: string; socket: string }[] {
  const setting = process.env["CCW_TEST_ENGINES"] ?? "";
  const engines = setting.split(",").flatMap((part) => {
    const [name, socket] = part.trim().split("=");
    return name && socket ? [{ name, socket }] : [];
  });
  if (engines.length === 0) {
    throw new Error(
      "CCW_TEST_ENGINES is not set: name the sockets of the engines to test, as podman=/path/to.sock,docker=/path/to.sock",
    );
  }
  return engines;
}
