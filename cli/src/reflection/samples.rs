//! Schemas that the tests of this module work on.
//!
//! **Invariant**: compiled from text, with source information, as a file of descriptors may hold it.

use prost_reflect::{DescriptorPool, prost_types::FileDescriptorSet};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

/// One of everything that a schema can hold.
pub(super) const SHOP: &str = r#"
syntax = "proto3";
package shop.v1;
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
// Sells things.
//
// Does not take them back.
service Shop {
  // Buys one.
  rpc Buy(Order) returns (Receipt) { option idempotency_level = IDEMPOTENT; }
  rpc Watch(stream Order) returns (stream Receipt) { option deprecated = true; }
}
// What is bought.
message Order {
  reserved 3, 20 to 25;
  reserved "price";
  // Who buys.
  string buyer = 1;
  optional uint64 limit_cents = 2;
  repeated Item items = 4;
  map<string, Item> extras = 5;
  oneof payment {
    // In coins.
    uint32 coins = 6;
    string card_number = 7;
  }
  Color color = 8 [deprecated = true];
  message Item {
    bytes code = 1;
    Order refund_of = 2;
  }
}
// The colour.
enum Color {
  COLOR_UNSPECIFIED = 0;
  // As the sky.
  COLOR_BLUE = 1;
}
message Receipt {
  google.protobuf.Timestamp time = 1;
  google.protobuf.Duration took = 2;
  google.protobuf.Any note = 3;
  google.protobuf.Struct extra = 4;
  google.protobuf.Value any_json = 5;
  google.protobuf.UInt64Value total = 6;
  google.protobuf.FieldMask mask = 7;
  map<int64, Color> colors = 8;
  map<bool, double> ratios = 9;
  float share = 10;
  repeated google.protobuf.NullValue nothing = 11;
}
message Empty {}
"#;

struct Text(&'static str);

impl FileResolver for Text {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if name == "shop.proto" {
            return File::from_source(name, self.0);
        }
        Err(protox::Error::file_not_found(name))
    }
}

/// `source` with all that it imports, comments included.
pub(super) fn descriptor_set(source: &'static str) -> FileDescriptorSet {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Text(source));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_file("shop.proto")
        .expect("it compiles");
    compiler.file_descriptor_set()
}

/// [`SHOP`], linked.
pub(super) fn shop() -> DescriptorPool {
    DescriptorPool::from_file_descriptor_set(descriptor_set(SHOP)).expect("it links")
}
