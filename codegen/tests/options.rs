//! What the options of the generator change, from a build script and from a `generate.toml`.
//!
//! **Invariant**: an option is judged by the code that comes out, or by the error that refuses it.

use daemoneye_ipc_codegen::project::Project;
use daemoneye_ipc_codegen::{Generated, Generator};

const SCHEMA: &str = "syntax = \"proto3\";
package shop.v1;
message Order {
  string name = 1;
}
message OrdersServer {}
service Orders {
  rpc Take(Order) returns (Order);
}
";

/// Schemas in a temporary folder, and what a generator makes of them.
struct Schemas(tempfile::TempDir);

impl Schemas {
    fn new(schema: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("shop.proto"), schema).expect("a file");
        Self(folder)
    }

    fn generate(&self, generator: &Generator) -> Result<Generated, String> {
        let root = self.0.path().join("shop.proto");
        generator
            .generate(&[root], &[self.0.path()])
            .map_err(|error| {
                error
                    .to_string()
                    .replace(&self.0.path().display().to_string(), "")
            })
    }

    fn code(&self, generator: &Generator) -> String {
        let generated = self
            .generate(generator)
            .unwrap_or_else(|error| panic!("{error}"));
        let mut files = generated.files.into_iter();
        files
            .find(|file| file.name == "shop.v1.rs")
            .expect("a file")
            .content
    }

    /// The same by a `generate.toml` with these lines in its one output.
    fn code_by_file(&self, lines: &str) -> Result<String, String> {
        let config = format!("[[output]]\ndir = \"out\"\n{lines}\n");
        std::fs::write(self.0.path().join("generate.toml"), config).expect("a file");
        let project = Project::open(self.0.path()).map_err(|error| error.to_string())?;
        project.write().map_err(|error| error.to_string())?;
        let text = std::fs::read_to_string(self.0.path().join("out/shop.v1.rs"));
        Ok(text.expect("the package's file"))
    }
}

/// The items of the service that are in the code.
fn items(code: &str) -> Vec<&str> {
    let items = [
        "const ORDERS_SERVICE",
        "trait Orders",
        "struct OrdersServer",
        "struct OrdersClient",
    ];
    items
        .into_iter()
        .filter(|item| code.contains(item))
        .collect()
}

#[test]
fn clients_and_servers_can_be_left_out() {
    let schemas = Schemas::new(&SCHEMA.replace("message OrdersServer {}", ""));
    let all = Generator::new();
    let code = |generator: &Generator| schemas.code(generator);
    assert_eq!(items(&code(&all)).len(), 4);
    let client_only = all.clone().build_server(false);
    assert_eq!(
        items(&code(&client_only)),
        ["const ORDERS_SERVICE", "struct OrdersClient"]
    );
    let server_only = all.clone().build_client(false);
    assert_eq!(
        items(&code(&server_only)),
        [
            "const ORDERS_SERVICE",
            "trait Orders",
            "struct OrdersServer"
        ]
    );
    let messages_only = client_only.build_client(false);
    assert_eq!(items(&code(&messages_only)), [""; 0]);
    assert!(code(&messages_only).contains("struct Order "));
}

#[test]
fn a_message_with_the_name_of_an_item_asks_for_another_name_in_rust() {
    let schemas = Schemas::new(SCHEMA);
    let error = schemas
        .generate(&Generator::new())
        .map(|_| ())
        .expect_err("a collision");
    assert_eq!(
        error,
        "message `shop.v1.OrdersServer` and service `shop.v1.Orders` both need the Rust item `OrdersServer`
 --> /shop.proto:7:9
  |
7 | service Orders {
  |         ^^^^^^
  = help: rename one of the two, or give the service another name in Rust: `.service_name(\".shop.v1.Orders\", \"OrdersApi\")`
          the other is at /shop.proto:6:9"
    );
    let code = schemas.code(&Generator::new().service_name(".shop.v1.Orders", "OrdersApi"));
    for item in [
        "ORDERS_API_SERVICE",
        "trait OrdersApi",
        "struct OrdersApiServer",
        "struct OrdersApiClient",
        "struct OrdersServer ",
    ] {
        assert!(code.contains(item), "{item}");
    }
    assert!(
        code.contains("\"/shop.v1.Orders/Take\""),
        "the wire has the schema's name"
    );
    // A client alone takes no name of the message's.
    schemas.code(&Generator::new().build_server(false));
}

#[test]
fn a_file_of_configuration_has_the_same_options() {
    let schemas = Schemas::new(SCHEMA);
    let by_file = schemas.code_by_file(
        "service_names = { \".shop.v1.Orders\" = \"OrdersApi\" }
         type_attributes = { \".\" = [\"#[derive(PartialOrd)]\"] }
         field_attributes = { \".shop.v1.Order.name\" = [\"#[doc(alias = \\\"title\\\")]\"] }
         build_client = false
         runtime_path = \"::ipc\"",
    );
    let generator = Generator::new()
        .service_name(".shop.v1.Orders", "OrdersApi")
        .type_attribute(".", "#[derive(PartialOrd)]")
        .field_attribute(".shop.v1.Order.name", "#[doc(alias = \"title\")]")
        .build_client(false)
        .runtime_path("::ipc");
    let code = schemas.code(&generator);
    assert_eq!(by_file, Ok(code.clone()));
    assert!(
        code.contains("#[derive(PartialOrd)]")
            && code.contains("alias = \"title\"")
            && code.contains("::ipc::")
    );

    let error = schemas
        .code_by_file("client = false")
        .expect_err("no such key");
    assert!(
        error.contains("client") && error.contains("`build_client`"),
        "{error}"
    );
}

#[test]
fn an_option_that_meets_nothing_is_refused() {
    let schemas = Schemas::new(SCHEMA);
    let refused = |generator: Generator| {
        schemas
            .generate(&generator)
            .map(|_| ())
            .expect_err("refused")
    };
    assert_eq!(
        refused(Generator::new().service_name(".shop.v1.Order", "OrdersApi")),
        "the service name for `.shop.v1.Order` meets nothing: no schema has an element of that name
  = help: did you mean `.shop.v1.Orders`?"
    );
    assert_eq!(
        refused(Generator::new().field_attribute(".shop.v1.Order.nmae", "#[serde(skip)]")),
        "the attribute for `.shop.v1.Order.nmae` meets nothing: no schema has an element of that name
  = help: did you mean `.shop.v1.Order.name`?"
    );
    let named = Generator::new().service_name(".shop.v1.Orders", "OrdersApi");
    for path in [".", ".shop", ".shop.v1", "Order", "Order.name", "name"] {
        schemas.code(&named.clone().field_attribute(path, "#[doc(hidden)]"));
    }
    assert!(
        refused(named.service_name(".shop.v1.Orders", "an api"))
            .contains("is not a Rust identifier")
    );
}
