// Reports why the page's scripts do not run. In old syntax and not a module, so that
// every browser can run it.
(function () {
  "use strict";

  var reported = false;

  function show(title, text) {
    var place = document.getElementById("broken");
    place.querySelector(".notice-title").textContent = title;
    place.querySelector(".notice-text").textContent = text;
    place.hidden = false;
    place.className = "notice";
  }

  // Report the first failure only: the others are its consequences.
  function report(title, text) {
    if (reported) {
      return;
    }
    reported = true;
    if (document.readyState === "loading") {
      document.addEventListener("DOMContentLoaded", function () {
        show(title, text);
      });
    } else {
      show(title, text);
    }
  }

  function tooOld(what) {
    report(
      "This browser is too old",
      "It lacks " + what + ", which this page needs. Use Chrome or Edge 116, Firefox 124, Safari 17.4, or a newer version.",
    );
  }

  function failed(what) {
    report(
      "The page has an error",
      what + ". Reload the page. If it happens again, report this message to the operator of the service.",
    );
  }

  function isOurs(event) {
    // Browser extensions run scripts here as well.
    return !event.filename || event.filename.indexOf(location.origin + "/") === 0;
  }

  window.addEventListener(
    "error",
    function (event) {
      var tag = event.target && event.target.tagName;
      if (tag === "SCRIPT" || tag === "LINK") {
        report("A part of the page is missing", "A file of the page could not be loaded. Check the network and reload the page.");
      } else if (tag === undefined && isOurs(event)) {
        if (/SyntaxError/.test(event.message)) {
          tooOld("current JavaScript syntax");
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
