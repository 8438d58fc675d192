export const agentCliVersion = "2.1.197";
