//! Where descriptors come from: a server's Reflection service, or a file.
//!
//! **Invariant**: descriptors that do not link are an error that says whose they are; what is linked
//! is never changed afterwards.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use daemoneye_ipc::{
    CallError, Channel, Code, IpcConfig,
    bytes::Bytes,
    prost::{DecodeError, Message},
    prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet},
    schema::ipc::v1::ServiceOffer,
    schema::reflection::v1::{
        GetDescriptorsRequest, GetRevisionsRequest, ListServicesRequest, REFLECTION_SERVICE,
        ReflectionClient,
    },
};
use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor, ServiceDescriptor};

use super::revisions::Revisions;
use crate::{args::Schemas, connect, explain::Explanation, failure::Failure, format};

/// The most bytes of descriptors that are taken from a file, or from a server in all.
const MAX_BYTES: usize = 64 << 20;
/// The longest full name that is taken, in bytes. A linked pool holds the full name of everything: a few
/// names of many bytes, each with much in it, would fill the memory.
const MAX_NAME_BYTES: usize = 1024;

/// How to make a file of descriptors, for those who have none.
const HOW_TO_MAKE: &str =
    "make one with protoc --include_imports --include_source_info --descriptor_set_out=FILE …";

/// A service by name, as far as its source tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceInfo {
    /// Full name.
    pub(crate) name: String,
    /// Released revision; 0 if it was never released, `None` if the source does not say.
    pub(crate) revision: Option<u32>,
    /// Hash of all that the wire depends on.
    pub(crate) fingerprint: u64,
    /// Number of methods, if the source tells.
    pub(crate) methods: Option<usize>,
}

/// Where descriptors come from.
pub(crate) enum Source {
    /// A server that is asked.
    Server(Server),
    /// A file that was read.
    File(File),
}

/// A server that is asked for its services.
pub(crate) struct Server {
    channel: Channel,
    config: Box<IpcConfig>,
}

/// A file with a `FileDescriptorSet`.
pub(crate) struct File {
    pool: DescriptorPool,
    path: PathBuf,
}

impl Source {
    /// The file that the command line names, or else the server, connected.
    pub(crate) async fn open(file: Option<&Path>, args: &Schemas) -> Result<Self, Failure> {
        let config = connect::configuration(file, &args.target)?;
        match &args.descriptors {
            Some(path) => File::read(path).map(Self::File),
            None => {
                let channel = connect::channel(&config).await?;
                let config = Box::new(config);
                Ok(Self::Server(Server { channel, config }))
            }
        }
    }

    /// The name of the source, for messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Server(server) => server.channel.endpoint().to_owned(),
            Self::File(file) => file.path.display().to_string(),
        }
    }

    /// The connection to the server that is asked, if one is.
    pub(crate) const fn channel(&self) -> Option<&Channel> {
        match self {
            Self::Server(server) => Some(&server.channel),
            Self::File(_) => None,
        }
    }

    /// All services, in the order of the source.
    pub(crate) async fn services(&self) -> Result<Vec<ServiceInfo>, Failure> {
        match self {
            Self::Server(server) => server.services().await,
            Self::File(file) => Ok(file.services()),
        }
    }

    /// As [`services`](Self::services), and where a server has no reflection, what its HELLO tells.
    pub(crate) async fn services_at_least_by_name(&self) -> Result<Vec<ServiceInfo>, Failure> {
        match self {
            Self::Server(server) => match server.list().await {
                Err(error) if is_absent(&error) => Ok(server.greeted()),
                listed => listed.map_err(|error| server.failure(&error)),
            },
            Self::File(file) => Ok(file.services()),
        }
    }

    /// What the source says of the revisions of a service, if anything.
    pub(crate) async fn revisions(
        &self,
        service: &ServiceInfo,
    ) -> Result<Option<Revisions>, Failure> {
        match self {
            Self::Server(server) => server.revisions(service).await,
            Self::File(_) => Ok(None),
        }
    }

    /// The descriptor of one service.
    pub(crate) async fn service(&self, info: &ServiceInfo) -> Result<ServiceDescriptor, Failure> {
        let pool = self.descriptors(std::slice::from_ref(info)).await?;
        pool.get_service_by_name(&info.name).ok_or_else(|| {
            let why = format!("they do not define {}", info.name);
            unsound(
                &self.name(),
                why,
                "rebuild the server with one release of the generator",
            )
        })
    }

    /// The descriptors of `services`, linked with all that they import.
    pub(crate) async fn descriptors(
        &self,
        services: &[ServiceInfo],
    ) -> Result<DescriptorPool, Failure> {
        match self {
            Self::Server(server) => server.descriptors(services).await,
            Self::File(file) => Ok(file.pool.clone()),
        }
    }
}

impl Server {
    async fn services(&self) -> Result<Vec<ServiceInfo>, Failure> {
        self.list().await.map_err(|error| self.failure(&error))
    }

    async fn list(&self) -> Result<Vec<ServiceInfo>, CallError> {
        let client = ReflectionClient::new(self.channel.clone());
        let listed = client.list_services(ListServicesRequest {}).await?;
        let info = |service: daemoneye_ipc::schema::reflection::v1::ServiceInfo| ServiceInfo {
            name: service.name,
            revision: Some(service.revision),
            fingerprint: service.fingerprint,
            methods: Some(service.methods.len()),
        };
        Ok(listed.services.into_iter().map(info).collect())
    }

    /// Servers of before the method was there say nothing.
    async fn revisions(&self, service: &ServiceInfo) -> Result<Option<Revisions>, Failure> {
        let client = ReflectionClient::new(self.channel.clone());
        let request = GetRevisionsRequest {
            services: vec![service.name.clone()],
        };
        match client.get_revisions(request).await {
            Ok(answer) => Ok(answer.services.into_iter().next().map(Revisions::of)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(self.failure(&error)),
        }
    }

    /// The services that the server's HELLO names.
    fn greeted(&self) -> Vec<ServiceInfo> {
        let offers = self.channel.server_hello().map(|hello| hello.services);
        let info = |offer: ServiceOffer| ServiceInfo {
            name: offer.name,
            revision: Some(offer.revision),
            fingerprint: offer.fingerprint,
            methods: None,
        };
        offers.unwrap_or_default().into_iter().map(info).collect()
    }

    /// One request per service, so that each answer fits a frame.
    async fn descriptors(&self, services: &[ServiceInfo]) -> Result<DescriptorPool, Failure> {
        let client = ReflectionClient::new(self.channel.clone());
        let (mut set, mut seen) = (EncodedFiles::default(), HashSet::new());
        let mut left = MAX_BYTES;
        let refused = |why| {
            let whose = format!("the server at {}", self.channel.endpoint());
            let hint = "rebuild the server with one release of the generator";
            unsound(&whose, why, hint)
        };
        for service in services {
            let request = GetDescriptorsRequest {
                services: vec![service.name.clone()],
            };
            let answer = client.get_descriptors(request).await;
            let files = answer.map_err(|error| self.failure(&error))?.files;
            let undecodable = |error: DecodeError| refused(error.to_string());
            for file in EncodedFiles::decode(files).map_err(undecodable)?.files {
                let Name { name } = Name::decode(&*file).map_err(undecodable)?;
                if seen.insert(name) {
                    let rest = left.checked_sub(file.len());
                    left = rest.ok_or_else(|| refused(too_many_bytes()))?;
                    set.files.push(file);
                }
            }
        }
        link(&set.encode_to_vec()).map_err(refused)
    }

    fn failure(&self, error: &CallError) -> Failure {
        if !is_absent(error) {
            return Failure::call(error, self.config.crc32_variant);
        }
        let endpoint = self.channel.endpoint();
        Failure::failed(
            format!("{endpoint}: the server does not describe its services"),
            Explanation::new(
                format!("it does not serve {}", REFLECTION_SERVICE.name),
                format!(
                    "add .reflection() to its Server::builder(…), or give its schema with --descriptors FILE; {HOW_TO_MAKE}"
                ),
            ),
        )
    }
}

/// A `FileDescriptorSet` whose files stay as they are, with options that the generated type drops.
#[derive(Clone, PartialEq, Message)]
#[prost(prost_path = "daemoneye_ipc::prost")]
struct EncodedFiles {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    files: Vec<Bytes>,
}

/// What is looked at in one of them.
#[derive(Clone, PartialEq, Message)]
#[prost(prost_path = "daemoneye_ipc::prost")]
struct Name {
    #[prost(string, tag = "1")]
    name: String,
}

/// Whether a call failed because the server has no such method.
fn is_absent(error: &CallError) -> bool {
    error.code() == Code::Unimplemented
}

impl File {
    fn read(path: &Path) -> Result<Self, Failure> {
        let wrong = |message: String| Failure::Usage {
            message: format!("--descriptors {}: {message}", path.display()),
            hint: format!("name a file with a serialized FileDescriptorSet; {HOW_TO_MAKE}"),
        };
        let about = fs::metadata(path).map_err(|error| wrong(error.to_string()))?;
        if about.len() > MAX_BYTES as u64 {
            return Err(wrong(too_many_bytes()));
        }
        let bytes = fs::read(path).map_err(|error| wrong(error.to_string()))?;
        // Not every file that decodes is one: any text may happen to be a message of unknown fields.
        let set =
            FileDescriptorSet::decode(&bytes[..]).map_err(|error| wrong(error.to_string()))?;
        if set.file.is_empty() {
            return Err(wrong("it holds no descriptors".to_owned()));
        }
        let pool = link(&bytes).map_err(|why| {
            let hint =
                "a set has to hold all files that its files import: protoc --include_imports";
            unsound(&path.display().to_string(), why, hint)
        })?;
        Ok(Self {
            pool,
            path: path.to_owned(),
        })
    }

    fn services(&self) -> Vec<ServiceInfo> {
        let info = |service: ServiceDescriptor| ServiceInfo {
            fingerprint: daemoneye_ipc_codegen::fingerprint::of_service(&service),
            name: service.full_name().to_owned(),
            revision: None,
            methods: Some(service.methods().len()),
        };
        self.pool.services().map(info).collect()
    }
}

/// Links the files of a serialized `FileDescriptorSet` to a pool on which nothing panics: the library
/// relies on more than it checks.
fn link(bytes: &[u8]) -> Result<DescriptorPool, String> {
    let set = FileDescriptorSet::decode(bytes).map_err(|error| error.to_string())?;
    let mut names = HashSet::new();
    for file in &set.file {
        let (name, syntax) = (file.name(), file.syntax());
        if !matches!(syntax, "" | "proto2" | "proto3") {
            return Err(format!(
                "{name} is written in {syntax}; proto2 and proto3 can be read"
            ));
        }
        if !names.insert(name) {
            return Err(format!("{name} is there twice"));
        }
        let longest = longest_name(file);
        if longest > MAX_NAME_BYTES {
            return Err(format!(
                "{name} has a name of {longest} bytes, over {MAX_NAME_BYTES}"
            ));
        }
    }
    // Decoded once more, because the pool keeps options that the generated type drops.
    let pool = DescriptorPool::decode(bytes).map_err(|error| error.to_string())?;
    for entry in pool.all_messages().filter(MessageDescriptor::is_map_entry) {
        let is_singular = |field: &FieldDescriptor| !field.is_list();
        let [key, value] = [1, 2].map(|number| entry.get_field(number).filter(is_singular));
        if value.is_none() || !key.is_some_and(|key| is_key(&key.kind())) {
            return Err(format!("the map entry {} is none", entry.full_name()));
        }
    }
    let empty = pool.all_enums().find(|values| values.values().len() == 0);
    match empty {
        Some(empty) => Err(format!("the enum {} has no values", empty.full_name())),
        None => Ok(pool),
    }
}

/// Bytes of the longest full name that a file defines.
fn longest_name(file: &FileDescriptorProto) -> usize {
    let scope = file.package().len();
    let messages = file
        .message_type
        .iter()
        .map(|message| of_message(scope, message));
    let enums = file.enum_type.iter().map(|values| of_enum(scope, values));
    let services = file.service.iter().map(|service| {
        let methods = service.method.iter().map(|method| 1 + method.name().len());
        scope + 1 + service.name().len() + methods.max().unwrap_or_default()
    });
    let extensions = file
        .extension
        .iter()
        .map(|field| scope + 1 + field.name().len());
    let all = messages.chain(enums).chain(services).chain(extensions);
    all.max().unwrap_or(scope)
}

fn of_message(scope: usize, message: &DescriptorProto) -> usize {
    let scope = scope + 1 + message.name().len();
    let fields = message.field.iter().chain(&message.extension);
    let fields = fields.map(|field| scope + 1 + field.name().len().max(field.json_name().len()));
    let oneofs = message
        .oneof_decl
        .iter()
        .map(|oneof| scope + 1 + oneof.name().len());
    let enums = message
        .enum_type
        .iter()
        .map(|values| of_enum(scope, values));
    let nested = message
        .nested_type
        .iter()
        .map(|nested| of_message(scope, nested));
    let all = fields.chain(oneofs).chain(enums).chain(nested);
    all.max().unwrap_or(scope)
}

fn of_enum(scope: usize, values: &EnumDescriptorProto) -> usize {
    let scope = scope + 1 + values.name().len();
    let values = values
        .value
        .iter()
        .map(|value| scope + 1 + value.name().len());
    values.max().unwrap_or(scope)
}

fn too_many_bytes() -> String {
    format!(
        "more than {} of descriptors",
        format::bytes(MAX_BYTES as u64)
    )
}

/// Whether the keys of a map may be of that kind.
const fn is_key(kind: &Kind) -> bool {
    !matches!(
        kind,
        Kind::Double | Kind::Float | Kind::Bytes | Kind::Message(_) | Kind::Enum(_)
    )
}

fn unsound(whose: &str, why: String, hint: &str) -> Failure {
    Failure::failed(
        format!("the descriptors of {whose} do not fit together"),
        Explanation::new(why, hint),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reflection::{self, Symbol, samples};

    /// Does with a set all that the commands do.
    fn use_up(bytes: &[u8]) {
        let Ok(pool) = link(bytes) else {
            return;
        };
        for service in pool.services() {
            let _ = daemoneye_ipc_codegen::fingerprint::of_service(&service);
            reflection::definition(&Symbol::Service(service));
        }
        for message in pool.all_messages() {
            reflection::template(&message);
            reflection::definition(&Symbol::Message(message));
        }
        for values in pool.all_enums() {
            reflection::definition(&Symbol::Enum(values));
        }
        drop(reflection::find_symbol(&pool, "Order", "here"));
    }

    proptest! {
        #[test]
        fn a_damaged_set_is_an_error_and_not_a_panic(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            from in any::<prop::sample::Index>(),
        ) {
            // The last file alone is the one that is not of Google's making.
            let mut set = samples::descriptor_set(samples::SHOP);
            for file in &mut set.file {
                file.source_code_info = None;
            }
            let mut bytes = set.encode_to_vec();
            let shop = bytes.len() - set.file.last().expect("the shop").encoded_len();
            for (index, byte) in changes {
                let at = shop + index.index(bytes.len() - shop);
                bytes[at] = byte;
            }
            use_up(&bytes);
            use_up(&bytes[..from.index(bytes.len())]);
        }
    }

    #[test]
    fn what_the_library_relies_on_unchecked_is_checked() {
        let shop = || samples::descriptor_set(samples::SHOP);
        let last = |set: &mut FileDescriptorSet| set.file.len() - 1;
        let link = |set: FileDescriptorSet| link(&set.encode_to_vec());
        assert!(link(shop()).is_ok());

        let mut set = shop();
        let file = last(&mut set);
        let entry = &mut set.file[file].message_type[0].nested_type;
        let entry = entry
            .iter_mut()
            .find(|nested| nested.options.is_some())
            .expect("a map");
        entry.field.truncate(1);
        let why = link(set).expect_err("no value");
        assert!(why.contains("ExtrasEntry"), "{why}");

        let mut set = shop();
        let file = last(&mut set);
        set.file[file].enum_type[0].value.clear();
        assert!(link(set).is_err());

        let mut set = shop();
        set.file.push(set.file[0].clone());
        assert!(link(set).expect_err("twice").ends_with("is there twice"));

        let mut set = shop();
        set.file[0].syntax = Some("editions".into());
        assert!(link(set).expect_err("too new").contains("editions"));

        let long = || Some("x".repeat(MAX_NAME_BYTES));
        let lengthen: [fn(&mut FileDescriptorProto, Option<String>); 6] = [
            |file, name| file.package = name,
            |file, name| file.service[0].name = name,
            |file, name| file.service[0].method[0].name = name,
            |file, name| file.message_type[0].nested_type[0].field[0].name = name,
            |file, name| file.message_type[0].oneof_decl[0].name = name,
            |file, name| file.enum_type[0].value[0].name = name,
        ];
        for lengthen in lengthen {
            let mut set = shop();
            lengthen(set.file.last_mut().expect("the shop"), long());
            let why = link(set).expect_err("too long");
            assert!(why.contains("has a name of "), "{why}");
        }
    }
}
