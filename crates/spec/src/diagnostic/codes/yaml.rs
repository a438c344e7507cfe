//! What YAML itself forbids, and what it allows but other readers understand differently.

codes! {
    YAML = Error "E-YAML" {
        title: "the text is not YAML",
        text: "The line shown does not fit the YAML around it. Fermata leaves it out and reads on, so that the other problems \
               of the file are shown too; what only shows in the whole file (a name that is missing, a port taken twice) is \
               checked when the syntax is right.",
        wrong: "services:\n  web:\n    image: > nginx\n",
        right: "services:\n  web:\n    image: nginx\n",
    }
    YAML_TAB = Error "E-YAML-TAB" {
        title: "a tab is used to indent",
        text: "YAML indents with spaces only (YAML 1.2.2, 6.1). Most editors can turn tabs into spaces for a file.",
        wrong: "services:\n\tweb:\n\t\timage: nginx\n",
        right: "services:\n  web:\n    image: nginx\n",
    }
    YAML_QUOTE = Error "E-YAML-QUOTE" {
        title: "a quote is not closed, or closed too early",
        text: "A value that opens with ' ends at the next ', one that opens with \" at the next \". Inside '…' an apostrophe is \
               written ''. Inside \"…\" a backslash begins an escape; write '…' to keep backslashes as they are.",
        wrong: "services:\n  web:\n    image: nginx\n    ports: ['3000:80:443\"]\n",
        right: "services:\n  web:\n    image: nginx\n    ports: ['3000:80:443']\n",
    }
    YAML_COLON = Error "E-YAML-COLON" {
        title: "a colon is missing, has no blank behind it, or stands inside an unquoted value",
        text: "A key is followed by a colon and a blank: `image: nginx`. A value that has a colon and a blank in it must be quoted.",
        wrong: "services:\n  web:\n    image nginx\n    ports: [80]\n",
        right: "services:\n  web:\n    image: nginx\n    ports: [80]\n",
    }
    YAML_INDENT = Error "E-YAML-INDENT" {
        title: "a line is indented too far or not far enough",
        text: "Keys of one map begin in the same column. In a list of maps that is the column of the first key, not of the dash.",
        wrong: "services:\n  web:\n    ports:\n    - container: 3000\n        http: 8080\n",
        right: "services:\n  web:\n    ports:\n    - container: 3000\n      http: 8080\n",
    }
    YAML_DASH = Error "E-YAML-DASH" {
        title: "a dash without a blank behind it",
        text: "An item of a list begins with a dash and a blank. Without the blank the dash is part of the value or the key.",
        wrong: "services:\n  web:\n    image: nginx\n    ports:\n    -80\n    -81\n",
        right: "services:\n  web:\n    image: nginx\n    ports:\n    - 80\n    - 81\n",
    }
    YAML_BRACKET = Error "E-YAML-BRACKET" {
        title: "a bracket or brace is not closed, or closed twice",
        text: "A list in brackets and a map in braces end with the bracket or brace that they begin with.",
        wrong: "services:\n  web:\n    ports: [80, 81\n    image: nginx\n",
        right: "services:\n  web:\n    ports: [80, 81]\n    image: nginx\n",
    }
    YAML_RESERVED = Error "E-YAML-RESERVED" {
        title: "a value begins with a character that means something else",
        text: "Without quotes a leading * is an alias, & an anchor, ! a tag, % a directive; @ and ` are reserved (YAML 1.2.2, 5.3). \
               Quote the value.",
        wrong: "services:\n  web:\n    image: nginx\n    ports: [\"80:80\"]\n    traffic_matches:\n    - *.example.com\n",
        right: "services:\n  web:\n    image: nginx\n    ports: [\"80:80\"]\n    traffic_matches:\n    - \"*.example.com\"\n",
    }
    YAML_BRACES = Error "E-YAML-BRACES" {
        title: "{{VAR}} without quotes",
        text: "For YAML {{VAR}} is a map inside a map. Quote it, or write the modern form _env(VAR), which needs no quotes.",
        wrong: "services:\n  web:\n    image: nginx\n    env_vars:\n      KEY: {{SECRET_KEY}}\n",
        right: "services:\n  web:\n    image: nginx\n    env_vars:\n      KEY: _env(SECRET_KEY)\n",
    }
    YAML_CONFLICT = Error "E-YAML-CONFLICT" {
        title: "a merge conflict is left in the file",
        text: "The lines <<<<<<<, ======= and >>>>>>> were written by a version control system that could not merge two \
               changes. Keep one of the two sides and remove the three lines.",
        wrong: "services:\n  web:\n<<<<<<< HEAD\n    image: nginx:1\n",
        right: "services:\n  web:\n    image: nginx:1\n",
    }
    YAML_KEY = Error "E-YAML-KEY" {
        title: "a key that is a list or a map",
        text: "YAML allows any value as a key; service.yml has words as keys.",
        wrong: "services:\n  [web]:\n    image: nginx\n",
        right: "services:\n  web:\n    image: nginx\n",
    }
    YAML_DUPLICATE_KEY = Error "E-YAML-DUPLICATE-KEY" {
        title: "a key is given twice with different values",
        text: "Keys of a map are unique (YAML 1.2.2, 3.2.1.1), but many readers silently take the last of several. Fermata reads \
               the first one on, to check it, and refuses the file.",
        wrong: "services:\n  web:\n    image: nginx:1\n    image: nginx:2\n",
        right: "services:\n  web:\n    image: nginx:2\n",
    }
    YAML_REPEATED_KEY = Warning "W-YAML-REPEATED-KEY" {
        title: "a key is given twice with the same value",
        text: "It changes nothing today; the next person will change one of the two.",
        wrong: "version: 2\nservices:\n  web:\n    image: nginx\nversion: 2\n",
        right: "version: 2\nservices:\n  web:\n    image: nginx\n",
    }
    YAML_DOCUMENTS = Error "E-YAML-DOCUMENTS" {
        title: "more than one document in a file",
        text: "A line of three dashes begins a new YAML document, and a service.yml is one document.",
        wrong: "services:\n  web:\n    image: nginx\n---\nservices:\n  api:\n    image: nginx\n",
        right: "services:\n  web:\n    image: nginx\n  api:\n    image: nginx\n",
    }
    YAML_TAG = Warning "W-YAML-TAG" {
        title: "a tag that means nothing here",
        text: "Tags such as !secret belong to the program that defines them. Fermata ignores them. A value that only begins with \
               an exclamation mark must be quoted.",
        wrong: "services:\n  web:\n    image: !latest nginx\n",
        right: "services:\n  web:\n    image: nginx\n",
    }
    YAML_LIMIT = Error "E-YAML-LIMIT" {
        title: "too large, too deep, or too many copies",
        text: "Fermata reads files of up to 4 MiB, 64 levels and 500,000 values, copies made for aliases included, so that no \
               file can exhaust the machine.",
        wrong: "services:\n  web: &web\n    env_vars: *web\n",
        right: "services:\n  web: &web\n    image: nginx\n  api: *web\n",
    }
    YAML_BASE60 = Warning "W-YAML-BASE60" {
        title: "a number in base 60 for other YAML readers",
        text: "YAML 1.1 reads digits with colons in base 60 when every part behind the first is below 60: 22:22 without quotes is \
               1342 for Ruby and Python. Fermata takes what is written.",
        wrong: "services:\n  web:\n    image: nginx\n    ports:\n    - 3000:30:59\n",
        right: "services:\n  web:\n    image: nginx\n    ports:\n    - \"3000:30:59\"\n",
    }
    YAML_BOOLEAN = Warning "W-YAML-BOOLEAN" {
        title: "yes, no, on, off or a leading zero without quotes",
        text: "Without quotes yes, no, on and off are booleans in YAML 1.1 and words in YAML 1.2, and 0700 is the octal number 448 in \
               one and 700 in the other. Quote what is meant as text.",
        wrong: "services:\n  web:\n    image: nginx\n    env_vars:\n      DEBUG: yes\n",
        right: "services:\n  web:\n    image: nginx\n    env_vars:\n      DEBUG: \"yes\"\n",
    }
}
