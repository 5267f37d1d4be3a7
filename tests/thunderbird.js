// What tests ask of Thunderbird, with its own functions. It stands before each script.

const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");

const sleep = milliseconds => new Promise(resolve => window.setTimeout(resolve, milliseconds));

/** What `condition` gives once it is true. */
async function until(what, condition) {
  for (let tries = 0; tries < 300; tries++) {
    const found = await condition();
    if (found) {
      return found;
    }
    await sleep(100);
  }
  throw new Error(`${what}: not in time`);
}

/** A listener for whatever runs by itself, and a promise of its end. */
function awaited() {
  let listener;
  const end = new Promise((resolve, reject) => {
    const ended = status =>
      Components.isSuccessCode(status) ? resolve() : reject(new Error(`status ${status}`));
    listener = {
      QueryInterface: ChromeUtils.generateQI(["nsIMsgCopyServiceListener", "nsIUrlListener"]),
      onStartCopy() {},
      onProgress() {},
      setMessageKey() {},
      getMessageId: () => null,
      onStopCopy: ended,
      onStartRunningUrl() {},
      onStopRunningUrl: (_url, status) => ended(status),
    };
  });
  return [listener, end];
}

// The assistant for new accounts

const inHub = selector =>
  document.querySelector("account-hub-container").shadowRoot.querySelector(selector);

async function hubStep(id) {
  const step = await until(id, () => {
    const found = inHub(`#${id}`);
    return found && !found.hidden && found.querySelector("form, dl, button, img") && found;
  });
  return step;
}

function type(field, text) {
  field.focus();
  field.value = text;
  field.dispatchEvent(new window.Event("input", { bubbles: true }));
  field.dispatchEvent(new window.Event("change", { bubbles: true }));
}

async function goOn() {
  await until("Continue", () => !inHub("#forward").disabled);
  inHub("#forward").click();
}

/** Set up an account as a new user does; the settings that were found, as they are shown. */
async function setUp(name, address, password) {
  await until("the assistant", () => document.querySelector("account-hub-container")?.shadowRoot);
  await until("its first form", () => inHub("#realName") && inHub("#forward"));
  type(inHub("#realName"), name);
  type(inHub("#email"), address);
  await goOn();
  const found = (await hubStep("emailConfigFoundSubview")).textContent;
  await goOn();
  const form = await hubStep("emailPasswordSubview");
  type(form.querySelector("input[type=password]"), password);
  form.querySelector("input[type=checkbox]").click(); // remember it
  await goOn();
  await hubStep("emailAddedSuccessSubview");
  await goOn();
  return found.replace(/\s+/g, " ").trim();
}

// Folders and messages of an account

const serverOf = login =>
  MailServices.accounts.accounts
    .map(account => account.incomingServer)
    .find(server => server.type == "imap" && server.username == login);

/** A folder by its path, such as INBOX or 文件柜/会议. */
const folderAt = (login, path) =>
  path
    .split("/")
    .reduce(
      (above, name) => above?.subFolders.find(one => one.name == name),
      serverOf(login).rootFolder
    );

const folderThere = (login, path) => until(`folder ${path}`, () => folderAt(login, path));

const headersIn = folder => [...folder.messages];

const headerOf = (folder, words) =>
  until(`message ${words}`, () =>
    headersIn(folder).find(header => header.mime2DecodedSubject.includes(words))
  );

const pane = () => document.getElementById("tabmail").currentTabInfo.chromeBrowser.contentWindow;

async function openFolder(login, path) {
  const folder = await folderThere(login, path);
  const window3 = await until("the mail tab", () => pane().displayFolder && pane());
  window3.displayFolder(folder);
  folder.updateFolder(window.top.msgWindow); // also if it is open already
  await until("the list", () => window3.gFolder == folder && window3.gDBView);
  return folder;
}

const messageWindow = () => pane().messageBrowser.contentWindow;

/** Click on a message in the open folder; its text once it is shown. */
async function read(folder, words) {
  const header = await headerOf(folder, words);
  const view = pane().gDBView;
  const row = await until("the row", () => {
    const found = view.findIndexOfMsgHdr(header, true);
    return found != 0xffffffff && found + 1;
  });
  pane().threadTree.selectedIndex = row - 1;
  return until("the text", () => {
    const shown = messageWindow();
    const body = shown?.getMessagePaneBrowser?.()?.contentDocument?.body;
    return shown?.gMessage == header && shown.msgLoaded && body?.textContent.trim();
  });
}

/** The bar that asks about the read receipt. */
const receiptBar = () =>
  messageWindow().gMessageNotificationBar.msgNotificationBar.getNotificationWithValue(
    "mdnRequested"
  );

/** What dragging a message into a folder does. */
async function drag(folder, words, target) {
  const header = await headerOf(folder, words);
  const [listener, end] = awaited();
  const move = true;
  MailServices.copy.copyMessages(
    folder, [header], target, move, listener, window.top.msgWindow, true
  );
  await end;
}

/** Subjects of what the server finds, not Thunderbird in what it keeps. */
function searchAtServer(folder, attribute, text) {
  const session = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(
    Ci.nsIMsgSearchSession
  );
  session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, folder);
  const term = session.createTerm();
  term.attrib = attribute;
  const value = term.value;
  value.attrib = attribute;
  value.str = text;
  term.value = value;
  term.op = Ci.nsMsgSearchOp.Contains;
  term.booleanAnd = true;
  session.appendTerm(term);
  return new Promise((resolve, reject) => {
    const found = [];
    session.registerListener({
      onNewSearch() {},
      onSearchHit: header => found.push(header.mime2DecodedSubject),
      onSearchDone: status =>
        Components.isSuccessCode(status) ? resolve(found) : reject(new Error(`${status}`)),
    });
    session.search(window.top.msgWindow);
  });
}
