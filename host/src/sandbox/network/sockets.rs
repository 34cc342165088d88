//! Sockets counted as descriptors from creation to drop.

use wasmtime::component::{HasSelf, Linker, Resource, ResourceType};
use wasmtime_wasi::p2::bindings::sockets::network::{
    self, ErrorCode, HostNetwork, IpAddressFamily, Network,
};
use wasmtime_wasi::p2::bindings::sockets::tcp::HostTcpSocket;
use wasmtime_wasi::p2::bindings::sockets::udp::HostUdpSocket;
use wasmtime_wasi::p2::bindings::sockets::{tcp_create_socket, udp_create_socket};
use wasmtime_wasi::p2::{SocketError, SocketResult, TcpSocket, UdpSocket};
use wasmtime_wasi::sockets::WasiSocketsView;

use crate::sandbox::descriptors::Exhausted;
use crate::sandbox::guest::Guest;

/// Interface names of wasmtime's definitions. With another version the definitions here would
/// shadow nothing; `sockets_and_files_of_guests_are_limited` would detect that.
const TCP: &str = "wasi:sockets/tcp@0.2.12";
const UDP: &str = "wasi:sockets/udp@0.2.12";

pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    tcp_create_socket::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    udp_create_socket::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    let tcp = ResourceType::host::<TcpSocket>();
    linker
        .instance(TCP)?
        .resource("tcp-socket", tcp, |mut store, rep| {
            let guest = store.data_mut();
            HostTcpSocket::drop(&mut guest.sockets(), Resource::new_own(rep))?;
            guest.descriptors.give_back();
            Ok(())
        })?;
    let udp = ResourceType::host::<UdpSocket>();
    linker
        .instance(UDP)?
        .resource("udp-socket", udp, |mut store, rep| {
            let guest = store.data_mut();
            HostUdpSocket::drop(&mut guest.sockets(), Resource::new_own(rep))?;
            guest.descriptors.give_back();
            Ok(())
        })
}

// Shared by both interfaces below; wasmtime's own conversion.

impl network::Host for Guest {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        self.sockets().convert_error_code(error)
    }

    fn network_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        self.sockets().network_error_code(error)
    }
}

impl HostNetwork for Guest {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        HostNetwork::drop(&mut self.sockets(), network)
    }
}

impl tcp_create_socket::Host for Guest {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        self.descriptors.take()?;
        tcp_create_socket::Host::create_tcp_socket(&mut self.sockets(), family)
            .inspect_err(|_| self.descriptors.give_back())
    }
}

impl udp_create_socket::Host for Guest {
    async fn create_udp_socket(
        &mut self,
        family: IpAddressFamily,
    ) -> SocketResult<Resource<UdpSocket>> {
        self.descriptors.take()?;
        let created = udp_create_socket::Host::create_udp_socket(&mut self.sockets(), family).await;
        created.inspect_err(|_| self.descriptors.give_back())
    }
}

/// `EMFILE` of sockets.
impl From<Exhausted> for SocketError {
    fn from(_: Exhausted) -> Self {
        ErrorCode::NewSocketLimit.into()
    }
}
