//! The markers of messages that are not generated: protobuf's well-known types.
//!
//! **Invariant**: each hash is the first eight bytes, little-endian, of SHA-256 over the full name, as
//! in generated code; the test computes them anew.

use super::IsMessage;

macro_rules! well_known {
    ($($type:ty = $name:literal, $hash:literal;)*) => {
        $(impl IsMessage<$hash> for $type {})*

        #[cfg(test)]
        const TABLE: &[(&str, u64)] = &[$((concat!("google.protobuf.", $name), $hash)),*];
    };
}

well_known! {
    () = "Empty", 0x8505_5DFA_7DB7_A394;
    prost_types::Any = "Any", 0x093F_42BD_E515_03E2;
    prost_types::Api = "Api", 0xE3B7_A7A2_2823_2783;
    prost_types::Duration = "Duration", 0xE6C4_575E_D0AA_AD4A;
    prost_types::EnumValue = "EnumValue", 0x459B_8C33_362C_BBE6;
    prost_types::Field = "Field", 0xA211_D87F_A006_77DD;
    prost_types::FieldMask = "FieldMask", 0x249E_4443_56B4_DD5B;
    prost_types::ListValue = "ListValue", 0x7390_2904_1E88_68AD;
    prost_types::Method = "Method", 0x5776_7268_0E4A_DE9B;
    prost_types::Mixin = "Mixin", 0x04F6_6CA3_01A9_DC2C;
    prost_types::Option = "Option", 0x7F18_7CD9_61B2_E4C4;
    prost_types::SourceContext = "SourceContext", 0xCFCE_8BF1_82F7_EEAF;
    prost_types::Struct = "Struct", 0x8C4C_A803_A861_ABF2;
    prost_types::Timestamp = "Timestamp", 0xBADE_53B7_888B_F489;
    prost_types::Type = "Type", 0x6167_D28A_A5AF_DCFA;
    prost_types::Value = "Value", 0x6B12_F06E_8BBA_B8E7;
    prost_types::Enum = "Enum", 0xC3A0_AE52_893B_8BDF;
    prost_types::FileDescriptorSet = "FileDescriptorSet", 0xB9FA_8DA7_1931_C26C;
    prost_types::FileDescriptorProto = "FileDescriptorProto", 0xD277_55E0_A47A_DEBB;
    prost_types::DescriptorProto = "DescriptorProto", 0xF816_F495_D17A_A089;
    bool = "BoolValue", 0x2191_98A4_BE47_29C6;
    f32 = "FloatValue", 0x833A_CB28_75BC_B769;
    f64 = "DoubleValue", 0xEC0B_1C1D_1EE1_7EC2;
    i32 = "Int32Value", 0xE76F_3C35_6D1D_D4DA;
    i64 = "Int64Value", 0x5365_D4E8_2FF1_8897;
    u32 = "UInt32Value", 0x5930_4910_8DC4_1D52;
    u64 = "UInt64Value", 0xA755_5349_A606_B55C;
    String = "StringValue", 0x794D_2869_54D1_1318;
    bytes::Bytes = "BytesValue", 0x6035_D296_F60B_32D0;
    Vec<u8> = "BytesValue", 0x6035_D296_F60B_32D0;
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn hashes_are_those_of_the_names() {
        for (name, hash) in TABLE {
            let digest = Sha256::digest(name.as_bytes());
            assert_eq!(
                digest.first_chunk().copied().map(u64::from_le_bytes),
                Some(*hash),
                "{name}"
            );
        }
    }
}
