/**
 * The studio's page.
 */

const { models } = await (await fetch("/api/models")).json();
document.getElementById("app")?.append(JSON.stringify(models));
