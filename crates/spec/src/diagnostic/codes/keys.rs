//! Keys, and the shape of their values.

codes! {
    KEY_UNKNOWN = Error "E-KEY-UNKNOWN" {
        title: "a key that the format does not have",
        text: "Fermata refuses keys that it does not know, because everywhere else a misspelt key is silently without effect. \
               Keys of your own, to hang anchors on, begin with x- at the top level.",
        wrong: "services:\n  web:\n    image: nginx\n    prots: [80]\n",
        right: "services:\n  web:\n    image: nginx\n    ports: [80]\n",
    }
    KEY_IGNORED = Warning "W-KEY-IGNORED" {
        title: "an unknown key where unknown keys are tolerated",
        text: "Production files have undocumented keys in their health checks, so an unknown one there is no error. It has no effect.",
        wrong: "services:\n  web:\n    image: nginx\n    ports: [80]\n    health:\n      ready: {type: http, retries: 3}\n",
        right: "services:\n  web:\n    image: nginx\n    ports: [80]\n    health:\n      ready: {type: http, failure_threshold: 3}\n",
    }
    KEY_OLD = Note "N-KEY-OLD" {
        title: "an older spelling of a key",
        text: "The key is read as what it means today. Renaming it keeps the file readable for others.",
        wrong: "services:\n  web:\n    git: https://git.example.com/web.git\n",
        right: "services:\n  web:\n    git_url: https://git.example.com/web.git\n",
    }
    KEY_ENDED = Warning "W-KEY-ENDED" {
        title: "a key that no longer has an effect",
        text: "Older versions of the format knew the key. The message says what to use instead, where there is something.",
        wrong: "services:\n  web:\n    image: nginx\n    pre_stop_sequence: 1m:USR2:30s\n",
        right: "services:\n  web:\n    image: nginx\n    stop_grace: 90\n",
    }
    KEY_TWICE = Error "E-KEY-TWICE" {
        title: "a key under two of its spellings",
        text: "An older and a newer spelling of one key are both given.",
        wrong: "services:\n  web:\n    git: https://git.example.com/a.git\n    git_url: https://git.example.com/b.git\n",
        right: "services:\n  web:\n    git_url: https://git.example.com/b.git\n",
    }
    KEY_EMPTY = Warning "W-KEY-EMPTY" {
        title: "a key without a value",
        text: "The key is treated as if it were not there. Often a value was forgotten, or stands on the next line without \
               enough indentation.",
        wrong: "services:\n  web:\n    image: nginx\n    command:\n",
        right: "services:\n  web:\n    image: nginx\n    command: nginx -g 'daemon off;'\n",
    }
    KEY_MISSING = Error "E-KEY-MISSING" {
        title: "a key that must be there is missing",
        text: "The message names the key and shows what it looks like.",
        wrong: "services:\n  web:\n    image: nginx\n    ports:\n    - http: 80\n",
        right: "services:\n  web:\n    image: nginx\n    ports:\n    - container: 80\n      http: 80\n",
    }
    KEY_PLACE = Error "E-KEY-PLACE" {
        title: "a key stands at the wrong level",
        text: "Most often databases is indented as if it were a service.",
        wrong: "services:\n  web:\n    image: nginx\n  databases: [redis]\n",
        right: "services:\n  web:\n    image: nginx\ndatabases: [redis]\n",
    }
    KEY_RENDER = Note "N-KEY-RENDER" {
        title: "keys that only rendered files use",
        text: "Fermata itself does not act on these keys; fermata render kubernetes writes them where Kubernetes has a word for them.",
        wrong: "services:\n  web:\n    image: nginx\n    annotations: {example.com/owner: web}\n",
        right: "services:\n  web:\n    image: nginx\n",
    }
    KEY_ELSEWHERE = Note "N-KEY-ELSEWHERE" {
        title: "keys that belong to the original platform",
        text: "Fermata accepts these keys so that one file works for both, and does nothing with them: it builds from build_root \
               and never fetches a repository.",
        wrong: "services:\n  web:\n    git_url: https://git.example.com/web.git\n",
        right: "services:\n  web:\n    build_root: web\n",
    }
    KEY_UNSTARTED = Note "N-KEY-UNSTARTED" {
        title: "keys for instances that Fermata does not start so",
        text: "A service that runs already keeps the variables, folders and numbers that it was started with. Volumes and a \
               security context belong to containers; a local process has neither.",
        wrong: "services:\n  chat:\n    ports: [\"3000:8080\"]\n    replicas: 3\n",
        right: "services:\n  chat:\n    command: node chat.js\n    ports: [\"3000:8080\"]\n    replicas: 3\n",
    }
    VALUE_TYPE = Error "E-VALUE-TYPE" {
        title: "a list, a map or a plain value where another one is expected",
        text: "The message names what belongs there.",
        wrong: "services:\n  db:\n    image: redis\n  web:\n    image: nginx\n    requires: db\n",
        right: "services:\n  db:\n    image: redis\n  web:\n    image: nginx\n    requires: [db]\n",
    }
    VALUE = Error "E-VALUE" {
        title: "a value that cannot be understood",
        text: "The message names what belongs there.",
        wrong: "services:\n  web:\n    image: nginx\n    stop_grace: soon\n",
        right: "services:\n  web:\n    image: nginx\n    stop_grace: 30\n",
    }
    VALUE_CHOICE = Error "E-VALUE-CHOICE" {
        title: "a word that is not one of the choices",
        text: "The message lists the words that the key knows.",
        wrong: "services:\n  web:\n    image: nginx\n    load_balancing: leastconn\n",
        right: "services:\n  web:\n    image: nginx\n    balance: leastconn\n",
    }
    VALUE_OLD = Note "N-VALUE-OLD" {
        title: "an older spelling of a value",
        text: "Version 1 wrote durations with a unit and tags as a map; version 2 counts seconds and has a list. Fermata reads both.",
        wrong: "services:\n  web:\n    image: nginx\n    stop_grace: 30s\n",
        right: "services:\n  web:\n    image: nginx\n    stop_grace: 30\n",
    }
    VALUE_LIST = Note "N-VALUE-LIST" {
        title: "one value where others write a list",
        text: "Fermata takes one port alone for a list of one. Other readers of the format may not.",
        wrong: "services:\n  web:\n    image: nginx\n    ports: \"80:80\"\n",
        right: "services:\n  web:\n    image: nginx\n    ports: [\"80:80\"]\n",
    }
}
