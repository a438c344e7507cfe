//! Health, resources, volumes, variables, tunnels.

codes! {
    HEALTH_COMMAND = Error "E-HEALTH-COMMAND" {
        title: "a check of type exec without a command",
        text: "exec runs a command in the instance; exit code 0 passes.",
        wrong: "services:\n  web:\n    image: nginx\n    health: {alive: {type: exec}}\n",
        right: "services:\n  web:\n    image: nginx\n    health: {alive: {type: exec, command: /bin/healthy}}\n",
    }
    HEALTH_PORT = Error "E-HEALTH-PORT" {
        title: "a check of a port that the service does not have",
        text: "http, https, tcp and websocket checks go to a port: to port where it is given, else to the first container port.",
        wrong: "services:\n  worker:\n    image: example/worker\n    health: {ready: {type: http}}\n",
        right: "services:\n  worker:\n    image: example/worker\n    ports: [3000]\n    health: {ready: {type: http}}\n",
    }
    HEALTH_UNUSED = Warning "W-HEALTH-UNUSED" {
        title: "a key that this type of check does not use",
        text: "endpoint belongs to http, https and websocket, command to exec. Without type a check is of type http.",
        wrong: "services:\n  web:\n    image: nginx\n    ports: [80]\n    health: {ready: {command: /bin/healthy}}\n",
        right: "services:\n  web:\n    image: nginx\n    ports: [80]\n    health: {ready: {type: exec, command: /bin/healthy}}\n",
    }
    HEALTH_WEBSOCKET = Warning "W-HEALTH-WEBSOCKET" {
        title: "a plain GET on a WebSocket path",
        text: "A WebSocket endpoint answers a request that is no handshake with 400 or 426, so the check never passes and the \
               service never gets traffic.",
        wrong: "services:\n  web:\n    image: example/chat\n    ports: [80]\n    health: {ready: {endpoint: /ws}}\n",
        right: "services:\n  web:\n    image: example/chat\n    ports: [80]\n    health: {ready: {type: websocket, endpoint: /ws}}\n",
    }
    HEALTH_V1 = Warning "W-HEALTH-V1" {
        title: "version 1's form of health",
        text: "Version 1 had one check, asked once at the deploy. Fermata reads an inbound one as ready, with the answers 200 to 399 \
               passing; an outbound one has no successor.",
        wrong: "services:\n  web:\n    image: nginx\n    ports: [80]\n    health: {type: inbound, endpoint: /}\n",
        right: "services:\n  web:\n    image: nginx\n    ports: [80]\n    health: {ready: {type: http, endpoint: /}}\n",
    }
    MEMORY_MILLI = Warning "W-MEMORY-MILLI" {
        title: "memory with a small m",
        text: "In Kubernetes a small m means thousandths: 100m is 0.1 byte. Version 1 wrote it so, and the original documentation still \
               does. Fermata reads it as M.",
        wrong: "services:\n  web:\n    image: nginx\n    constraints: {resources: {limits: {memory: 100m}}}\n",
        right: "services:\n  web:\n    image: nginx\n    constraints: {resources: {limits: {memory: 100M}}}\n",
    }
    MEMORY_SMALL = Error "E-MEMORY-SMALL" {
        title: "less memory than a container needs",
        text: "The least that the original takes is 4M. A number without a suffix is a number of bytes.",
        wrong: "services:\n  web:\n    image: nginx\n    constraints: {resources: {limits: {memory: 512}}}\n",
        right: "services:\n  web:\n    image: nginx\n    constraints: {resources: {limits: {memory: 512M}}}\n",
    }
    RESOURCES = Error "E-RESOURCES" {
        title: "a request above its limit",
        text: "A request is what an instance is promised, a limit what it may use at most.",
        wrong: "services:\n  web:\n    image: nginx\n    constraints: {resources: {requests: {cpu: 2}, limits: {cpu: 500m}}}\n",
        right: "services:\n  web:\n    image: nginx\n    constraints: {resources: {requests: {cpu: 500m}, limits: {cpu: 2}}}\n",
    }
    RESOURCES_EQUAL = Warning "W-RESOURCES-EQUAL" {
        title: "a request as high as its limit",
        text: "The original wants a request to be lower than its limit; Kubernetes takes equal ones.",
        wrong: "services:\n  web:\n    image: nginx\n    constraints: {resources: {requests: {cpu: 1}, limits: {cpu: 1}}}\n",
        right: "services:\n  web:\n    image: nginx\n    constraints: {resources: {requests: {cpu: 500m}, limits: {cpu: 1}}}\n",
    }
    COUNT = Error "E-COUNT" {
        title: "numbers of instances that contradict each other",
        text: "min_count and max_count are bounds for replicas.",
        wrong: "services:\n  web:\n    image: nginx\n    replicas: 9\n    constraints: {max_count: 7}\n",
        right: "services:\n  web:\n    image: nginx\n    replicas: 7\n    constraints: {max_count: 7}\n",
    }
    VOLUME = Error "E-VOLUME" {
        title: "a volume that cannot be understood",
        text: "The short form is HOST:CONTAINER or HOST:CONTAINER:MODE with mode ro or rw. The long form has mount_path and one source.",
        wrong: "services:\n  db:\n    image: redis\n    volumes: [/data]\n",
        right: "services:\n  db:\n    image: redis\n    volumes: [\"/srv/redis:/data\"]\n",
    }
    VOLUME_PATH = Error "E-VOLUME-PATH" {
        title: "a volume with a relative path",
        text: "Both sides of a volume are absolute paths; the host's may begin with a reference such as _env(DATA).",
        wrong: "services:\n  db:\n    image: redis\n    volumes: [\"data:/data\"]\n",
        right: "services:\n  db:\n    image: redis\n    volumes: [\"/srv/redis:/data\"]\n",
    }
    VOLUME_MODE = Warning "W-VOLUME-MODE" {
        title: "a mode that is ignored",
        text: "z and Z relabel files for SELinux; the format knows ro and rw only.",
        wrong: "services:\n  db:\n    image: redis\n    volumes: [\"/srv/redis:/data:z\"]\n",
        right: "services:\n  db:\n    image: redis\n    volumes: [\"/srv/redis:/data\"]\n",
    }
    REFERENCE = Error "E-REFERENCE" {
        title: "a reference that cannot be understood",
        text: "References are _env(VAR), _env(VAR:default), _env(SERVICE[name].VAR) and _env(STACK[uid].VAR).",
        wrong: "services:\n  web:\n    image: nginx\n    env_vars: {KEY: _env(SECRET_KEY}\n",
        right: "services:\n  web:\n    image: nginx\n    env_vars: {KEY: _env(SECRET_KEY)}\n",
    }
    REFERENCE_OLD = Note "N-REFERENCE-OLD" {
        title: "an older spelling of a reference",
        text: "_env:VAR and {{VAR}} are read as _env(VAR).",
        wrong: "services:\n  web:\n    image: nginx\n    command: rackup -E _env:RACK_ENV\n",
        right: "services:\n  web:\n    image: nginx\n    command: rackup -E _env(RACK_ENV)\n",
    }
    REFERENCE_SERVICE = Error "E-REFERENCE-SERVICE" {
        title: "a reference to a service that is not in the file",
        text: "SERVICE[name] is the name of a service of the same file.",
        wrong: "services:\n  web:\n    image: nginx\n    env_vars: {KEY: \"_env(SERVICE[api].KEY)\"}\n",
        right: "services:\n  web:\n    image: nginx\n    env_vars: {KEY: \"_env(SERVICE[api].KEY)\"}\n  api:\n    image: nginx\n    env_vars: {KEY: \"1\"}\n",
    }
    ENV_EMPTY = Note "N-ENV-EMPTY" {
        title: "a variable without a value",
        text: "The service gets the variable with an empty text.",
        wrong: "services:\n  web:\n    image: nginx\n    env_vars:\n      API_KEY:\n",
        right: "services:\n  web:\n    image: nginx\n    env_vars:\n      API_KEY: _env(API_KEY)\n",
    }
    WEBSOCKET_UNUSED = Warning "W-WEBSOCKET-UNUSED" {
        title: "websocket or sticky without an http or https port",
        text: "Tunnels and visitors come through public http and https ports. Raw tcp and udp ports are carried as they are.",
        wrong: "services:\n  chat:\n    image: example/chat\n    ports: [{container: 3000, tcp: 8080}]\n    websocket: {drain: 1m}\n",
        right: "services:\n  chat:\n    image: example/chat\n    ports: [{container: 3000, http: 8080}]\n    websocket: {drain: 1m}\n",
    }
    KEEPALIVE_SLOW = Warning "W-KEEPALIVE-SLOW" {
        title: "a keepalive slower than a balancer in the middle",
        text: "Load balancers and proxies end connections that were silent for a while, most after 30 to 60 s where nobody has set another \
               time. A Ping has to come sooner, with time to travel. fermata check --behind NAME judges by one balancer alone.",
        wrong: "services:\n  web:\n    image: nginx\n    ports: [\"80:80\"]\n    websocket: {keepalive: 55s}\n",
        right: "services:\n  web:\n    image: nginx\n    ports: [\"80:80\"]\n    websocket: {keepalive: 25s}\n",
    }
}
