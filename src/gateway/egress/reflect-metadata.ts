/**
 * @peculiar/x509's container of parts (tsyringe) asks for it as it loads. In a module of its own: what the bundler
 * makes of a CommonJS package runs where it is imported, and that must be before tsyringe is reached.
 */
import "reflect-metadata";
