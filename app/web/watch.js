// Names what keeps the page's scripts from running. In old syntax, and not a module:
// every browser must be able to read it.
(function () {
  "use strict";

  var said = false;

  function show(title, text) {
    var place = document.getElementById("broken");
    place.querySelector(".notice-title").textContent = title;
    place.querySelector(".notice-text").textContent = text;
    place.hidden = false;
    place.className = "notice";
  }

  // The first failure is the cause; the others follow from it.
  function say(title, text) {
    if (said) {
      return;
    }
    said = true;
    if (document.readyState === "loading") {
      document.addEventListener("DOMContentLoaded", function () {
        show(title, text);
      });
    } else {
      show(title, text);
    }
  }

  function tooOld(what) {
    say(
      "This browser is too old",
      "It lacks " + what + ", which this page needs. Chrome and Edge 116, Firefox 124, Safari 17.4 and newer have it.",
    );
  }

  function failed(what) {
    say(
      "The page itself failed",
      what + ". Reload the page. If this happens again, report this sentence to whoever runs the service.",
    );
  }

  function isOurs(event) {
    // Extensions of the browser run scripts here, too.
    return !event.filename || event.filename.indexOf(location.origin + "/") === 0;
  }

  window.addEventListener(
    "error",
    function (event) {
      var tag = event.target && event.target.tagName;
      if (tag === "SCRIPT" || tag === "LINK") {
        say("A part of the page is missing", "A file of the page could not be loaded. Check the network, and reload the page.");
      } else if (tag === undefined && isOurs(event)) {
        if (/SyntaxError/.test(event.message)) {
          tooOld("the syntax of today's scripts");
        } else {
          failed(event.message);
        }
      }
    },
    true,
  );

  window.addEventListener("unhandledrejection", function (event) {
    var reason = event.reason;
    if (!reason || reason.name !== "AbortError") {
      failed(String(reason));
    }
  });

  var needed = {
    "JavaScript modules": "noModule" in document.createElement("script"),
    "AbortSignal.any": window.AbortSignal && AbortSignal.any,
    "AbortSignal.timeout": window.AbortSignal && AbortSignal.timeout,
    "dialogs": window.HTMLDialogElement && HTMLDialogElement.prototype.showModal,
    "URLSearchParams": window.URLSearchParams,
    "Array.prototype.at": Array.prototype.at,
    "String.prototype.replaceAll": String.prototype.replaceAll,
  };
  for (var name in needed) {
    if (!needed[name]) {
      tooOld(name);
    }
  }

  document.addEventListener("click", function (event) {
    if (event.target.id === "reload") {
      location.reload();
    }
  });
})();
