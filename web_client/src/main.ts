import { App } from "./app.ts";
import { WallPage } from "./wall/wall.ts";

const root = document.getElementById("app");
if (root) new (location.pathname === "/wall" ? WallPage : App)(root);
