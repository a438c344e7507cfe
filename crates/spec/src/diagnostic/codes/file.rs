//! The file as a whole, and the names of its services.

codes! {
    FILE_EMPTY = Error "E-FILE-EMPTY" {
        title: "the file defines no services",
        text: "A service.yml has services at its top level: a map from the name of each service to its keys.",
        wrong: "# nothing yet\n",
        right: "services:\n  web:\n    image: nginx\n",
    }
    FILE_SERVICES = Error "E-FILE-SERVICES" {
        title: "services is missing or misspelt",
        text: "The key is services, with an s at the end, also where there is only one. (Some pages of the original documentation \
               have service: in their examples.)",
        wrong: "service:\n  web:\n    image: nginx\n",
        right: "services:\n  web:\n    image: nginx\n",
    }
    FILE_VERSION = Error "E-FILE-VERSION" {
        title: "another version than 2",
        text: "Fermata reads version 2, and a file without a version as version 2.",
        wrong: "version: 3\nservices:\n  web:\n    image: nginx\n",
        right: "version: 2\nservices:\n  web:\n    image: nginx\n",
    }
    FILE_COMPOSE = Error "E-FILE-COMPOSE" {
        title: "a docker-compose file",
        text: "The file has keys that only docker-compose knows. fermata import makes a service.yml of it and says what could not \
               be carried over.",
        wrong: "services:\n  web:\n    build: .\n    depends_on: [db]\n",
        right: "services:\n  web:\n    build_root: .\n    requires: [db]\n  db:\n    image: redis\n",
    }
    FILE_KAMAL = Error "E-FILE-KAMAL" {
        title: "a deploy.yml of Kamal",
        text: "The file has one service and the servers that it is deployed to. fermata import makes a service.yml of it and says \
               what could not be carried over.",
        wrong: "service: web\nimage: example/web\nservers: [10.0.0.11]\n",
        right: "services:\n  web:\n    image: example/web\nload_balancer:\n  servers: [{name: web1, address: 10.0.0.11}]\n",
    }
    FILE_KUBERNETES = Error "E-FILE-KUBERNETES" {
        title: "a Kubernetes manifest",
        text: "The file has apiVersion and kind. Fermata writes such manifests from a service.yml and does not read them.",
        wrong: "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n",
        right: "services:\n  web:\n    image: example/web\n",
    }
    FILE_ENVIRONMENT = Warning "W-FILE-ENVIRONMENT" {
        title: "an environment at the top level",
        text: "The oldest files (2014 to 2017) have environments such as production at the top level and services below each. With \
               one environment the meaning is clear, and Fermata reads it. Move services to the top level.",
        wrong: "production:\n  services:\n    web:\n      image: nginx\n",
        right: "services:\n  web:\n    image: nginx\n",
    }
    FILE_ENVIRONMENTS = Error "E-FILE-ENVIRONMENTS" {
        title: "several environments at the top level",
        text: "The oldest files (2014 to 2017) have environments at the top level. With several of them nothing says which one is \
               meant. Make a file of each.",
        wrong: "production:\n  services:\n    web:\n      image: nginx\nstaging:\n  services:\n    web:\n      image: nginx:alpine\n",
        right: "services:\n  web:\n    image: nginx\n",
    }
    SERVICE_EMPTY = Error "E-SERVICE-EMPTY" {
        title: "a service without keys",
        text: "A service has at least a port, an image or a command. Often its keys are not indented far enough.",
        wrong: "services:\n  web:\n",
        right: "services:\n  web:\n    image: nginx\n",
    }
    SERVICE_NAME = Warning "W-SERVICE-NAME" {
        title: "a service's name that is not a DNS label",
        text: "The name of a service is its host name among services. Kubernetes refuses names with capitals, underscores or dots; \
               Fermata and Docker do not mind.",
        wrong: "services:\n  web_app:\n    image: nginx\n",
        right: "services:\n  web-app:\n    image: nginx\n",
    }
    SERVICE_NAME_BAD = Error "E-SERVICE-NAME" {
        title: "a service's name that no system takes",
        text: "The name of a service is its host name among services: letters, digits and dashes.",
        wrong: "services:\n  web app:\n    image: nginx\n",
        right: "services:\n  web-app:\n    image: nginx\n",
    }
    SERVICE_SOURCE = Note "N-SERVICE-SOURCE" {
        title: "a service that nothing starts",
        text: "Without image, command, build_root and address a service is taken to be running already on this machine, at its \
               container port. That is how the shortest of all files works.",
        wrong: "services:\n  chat:\n    ports: [{container: 3000, http: 8080}]\n",
        right: "services:\n  chat:\n    ports: [{container: 3000, http: 8080}]\n    address: 127.0.0.1\n",
    }
    SOURCE_TWICE = Warning "W-SOURCE-TWICE" {
        title: "a service that runs already and is also to be started",
        text: "address says where the service runs already, and endpoints who knows it, so its image or command is not used.",
        wrong: "services:\n  web:\n    image: nginx\n    address: 10.0.0.5\n",
        right: "services:\n  web:\n    address: 10.0.0.5\n",
    }
    SERVER_TWICE = Error "E-SERVER-TWICE" {
        title: "two servers of one name",
        text: "Servers are drained, watched and shown by their names.",
        wrong: "load_balancer:\n  servers:\n  - {name: web, address: 10.0.0.11}\n  - {name: web, address: 10.0.0.12}\n",
        right: "load_balancer:\n  servers:\n  - {name: web1, address: 10.0.0.11}\n  - {name: web2, address: 10.0.0.12}\n",
    }
    FLOATING = Error "E-FLOATING" {
        title: "an address that does not float",
        text: "A floating address belongs to one of two balancers at a time. Each has an address of its own beside it, of the same \
               family, by which they speak with each other.",
        wrong: "load_balancer:\n  servers: [{name: web1, address: 10.0.0.11}]\n  floating: {address: 10.0.0.10, interface: eth0, balancers: [10.0.0.8]}\n",
        right: "load_balancer:\n  servers: [{name: web1, address: 10.0.0.11}]\n  floating: {address: 10.0.0.10, interface: eth0, balancers: [10.0.0.8, 10.0.0.9]}\n",
    }
    SERVER_NONE = Error "E-SERVER-NONE" {
        title: "a load balancer without servers",
        text: "servers lists the machines to which the load balancer sends.",
        wrong: "load_balancer:\n  servers: []\n",
        right: "load_balancer:\n  servers:\n  - {name: web1, address: 10.0.0.11}\n",
    }
    REQUIRES_UNKNOWN = Error "E-REQUIRES-UNKNOWN" {
        title: "requires names no service",
        text: "requires lists services of the same file. Databases are not services.",
        wrong: "services:\n  web:\n    image: nginx\n    requires: [cahce]\n  cache:\n    image: redis\n",
        right: "services:\n  web:\n    image: nginx\n    requires: [cache]\n  cache:\n    image: redis\n",
    }
    REQUIRES_CYCLE = Error "E-REQUIRES-CYCLE" {
        title: "services that wait for each other",
        text: "Each service starts when those that it requires are ready; in a circle none ever starts.",
        wrong: "services:\n  a:\n    image: nginx\n    requires: [b]\n  b:\n    image: nginx\n    requires: [a]\n",
        right: "services:\n  a:\n    image: nginx\n    requires: [b]\n  b:\n    image: nginx\n",
    }
    REQUIRES_APART = Warning "W-REQUIRES-APART" {
        title: "a process that has no way to containers",
        text: "Containers publish no port. One that a process of the machine requires is at 127.0.0.1 under its container port, which \
               two of them cannot have: of several the process reaches none, but at a public port.",
        wrong: "services:\n  job:\n    command: ./job\n    requires: [cache]\n  cache:\n    image: redis\n    ports: [6379]\n    \
                replicas: 2\n",
        right: "services:\n  job:\n    command: ./job\n    requires: [cache]\n  cache:\n    image: redis\n    ports: [6379]\n",
    }
    MORE_ERRORS = Error "E-MORE" {
        title: "more errors than are shown",
        text: "After 500 diagnostics the others are only counted.",
        wrong: "",
        right: "",
    }
    MORE = Warning "W-MORE" {
        title: "more warnings and notes than are shown",
        text: "After 500 diagnostics the others are only counted.",
        wrong: "",
        right: "",
    }
    BALANCER_ERROR = Error "E-BALANCER" {
        title: "what a load balancer cannot carry",
        text: "Said by check --behind and by render, by a table of what each load balancer carries: UDP or raw TCP, cookies, ports, \
               how long a connection may be silent, how long a server that leaves keeps its connections.",
        wrong: "",
        right: "",
    }
    BALANCER = Warning "W-BALANCER" {
        title: "what does not go well with a load balancer",
        text: "Said by check --behind and by render, by the same table: what works, and will hurt, or what is documented nowhere.",
        wrong: "",
        right: "",
    }
    RENDER_ERROR = Error "E-RENDER" {
        title: "what a target of render cannot have",
        text: "Nothing is written. The help names another target, or another way to write it.",
        wrong: "",
        right: "",
    }
    RENDER = Warning "W-RENDER" {
        title: "what is left out of a rendered file, or means something else there",
        text: "The rest is written. The help says what to do instead.",
        wrong: "",
        right: "",
    }
}
